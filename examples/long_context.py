"""A diary and a question about it: what CoEM finds, what it makes of that, and the answer, stage by stage.

uv run examples/long_context.py
"""

from emoagents import CoEM, Context

DIARY = """
Monday. The letter from the clinic came. I put it under the bread bin and made soup instead of opening it.

Tuesday. Rain. Ida asked why I was so quiet at supper. I said I was tired, which is what one says.

Wednesday. I opened it. They want to see me again on Friday, "to be on the safe side". I read that line twelve times.

Thursday. Sorted the seed packets by month. Beans, peas, the poppies that never come up. My hands shook a little.

Friday. The doctor drew a circle on a sheet of paper and said that this small thing was nothing, nothing at all.

Friday, later. Sat in the car and cried so loudly that a man knocked on the window. I told him that I was happy.

Saturday. Told Ida everything. She was angry that I had been alone with it, and then she held my hands for a long time.
"""
QUESTION = "Why did the writer cry on Friday?"

content = [{"type": "text", "text": text} for text in (DIARY, QUESTION)]
coem = CoEM(chunk=40, overlap=8, first=4, keep=2)  # Rank: the embedded MiniLM; Sage and Core: the run's model
result = coem.run([{"role": "user", "content": content}], context=Context(max_tokens=60, temperature=0))

for event in result.trace:
    if event["event"] in ("ranked", "reranked"):
        print(f"\n{event['event']} by {event['ranker']}:")
        for passage in event["passages"]:
            print(f"  {passage['score']:+.2f}  {' '.join(DIARY[passage['start'] : passage['end']].split()):.90}")
    if event.get("role") == "sage":
        print(f"  note: {' '.join(event['answers'][0]['text'].split()):.90}")

print(f"\n{QUESTION}\n{result.answer}\n")
print(f"{result.usage.calls} calls; by stage: { ({node: u.calls for node, u in result.usage_by_node.items()}) }")
