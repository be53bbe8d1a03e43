/**
 * Calls `work` for each item, in order, with at most `count` calls under way. After a failure no further call begins. A call that returns no
 * promise is done.
 */
export async function forEachAtOnce<Item>(
  items: Iterable<Item>,
  count: number,
  work: (item: Item) => Promise<void> | undefined,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  let hasFailed = false;
  const worker = async (): Promise<void> => {
    for (let next = rest.next(); !next.done && !hasFailed; next = rest.next()) {
      const done = work(next.value);
      if (done) await done;
    }
  };
  const workers = Array.from({ length: count }, () =>
    worker().catch((error: unknown) => {
      hasFailed = true;
      throw error;
    }),
  );
  await Promise.all(workers);
}
