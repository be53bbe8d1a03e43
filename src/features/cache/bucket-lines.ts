import { createHash } from "node:crypto";
import { MachineError } from "../../errors.ts";
import { bucketPlace } from "../../storage/address.ts";
import { forEachAtOnce } from "../../storage/at-once.ts";
import { openBucket } from "../../storage/s3-store.ts";

/** Lines of text that several machines add to. */
export interface SharedLines {
  /** Returns all lines; none where they cannot be read. */
  read(): Promise<string>;
  /** Adds lines, each of which ends in a newline. They are left out where they cannot be written. */
  append(lines: string): Promise<void>;
}

const readsAtOnce = 16;

/** Returns the lines in the objects of a bucket's folder: each addition is an object of its own, whose name is its content's hash. */
export function bucketLines(address: string): SharedLines {
  const { bucket, key } = bucketPlace(address);
  const spared = (error: unknown): void => {
    if (!(error instanceof MachineError)) throw error;
  };
  return {
    async read() {
      const texts: string[] = [];
      const readAll = async (): Promise<void> => {
        const store = await openBucket(bucket);
        const keys: string[] = [];
        for await (const object of store.list(`${key}/`)) keys.push(object.key);
        await forEachAtOnce(keys, readsAtOnce, async (each) => {
          const found = await store.get(each);
          if (found) texts.push(Buffer.from(found.bytes).toString("utf8"));
        });
      };
      await readAll().catch(spared);
      return texts.join("");
    },
    async append(lines) {
      const name = createHash("sha256").update(lines).digest("hex").slice(0, 40);
      const write = async (): Promise<void> => {
        await (await openBucket(bucket)).putIfAbsent(`${key}/${name}.index`, Buffer.from(lines));
      };
      await write().catch(spared);
    },
  };
}
