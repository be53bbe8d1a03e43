import { createHash } from "node:crypto";
import { MachineError } from "../../errors.ts";
import { bucketPlace } from "../../storage/address.ts";
import { forEachAtOnce } from "../../storage/at-once.ts";
import { openBucket } from "../../storage/s3-store.ts";

/** Segments of an index that several machines add to. */
export interface SharedSegments {
  /** Returns the bytes of all segments; none where they cannot be read. */
  read(): Promise<readonly Buffer[]>;
  /** Adds segments. They are left out where they cannot be written. */
  append(segments: Buffer): Promise<void>;
}

const readsAtOnce = 16;

/** Returns the segments in the objects of a bucket's folder: each addition is an object of its own, whose name is its content's hash. */
export function bucketSegments(address: string): SharedSegments {
  const { bucket, key } = bucketPlace(address);
  const spared = (error: unknown): void => {
    if (!(error instanceof MachineError)) throw error;
  };
  return {
    async read() {
      const found: Buffer[] = [];
      const readAll = async (): Promise<void> => {
        const store = await openBucket(bucket);
        const keys: string[] = [];
        for await (const object of store.list(`${key}/`)) keys.push(object.key);
        await forEachAtOnce(keys, readsAtOnce, async (each) => {
          const bytes = (await store.get(each))?.bytes;
          if (bytes) found.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
        });
      };
      await readAll().catch(spared);
      return found;
    },
    async append(segments) {
      const name = createHash("sha256").update(segments).digest("hex").slice(0, 40);
      const write = async (): Promise<void> => {
        await (await openBucket(bucket)).putIfAbsent(`${key}/${name}.index`, segments);
      };
      await write().catch(spared);
    },
  };
}
