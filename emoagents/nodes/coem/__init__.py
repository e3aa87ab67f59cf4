"""The five stages of Collaborative Emotional Modeling (LongEmotion, Liu et al., arXiv 2509.07403, section 5)."""
