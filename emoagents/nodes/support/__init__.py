"""The steps of a support dialogue: guard, assess, select, respond.

Each stands alone in anyone's graph, too: `SupportDialogue(...).node("select")`.
"""
