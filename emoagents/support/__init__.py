"""Emotional-support conversations: the eight strategies of ESConv, dialogues, and what chooses among strategies.

Facts of the data: Liu et al., ACL 2021 (arXiv 2106.01144); of the evaluation: Kang et al., ACL 2024 (arXiv 2402.13211).
"""
