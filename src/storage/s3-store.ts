import { createHash } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { S3Client } from "@aws-sdk/client-s3";
import { MachineError } from "../errors.ts";
import { bucketAddress } from "./address.ts";
import type { ObjectBytes, ObjectStore, StoredObject } from "./object-store.ts";
import { type Asked, isConnectionFault, type ServiceError, statusOf, storageError } from "./s3-errors.ts";

type Sdk = typeof import("@aws-sdk/client-s3");

/** The SDK, and the client that all buckets share. */
interface Service {
  readonly sdk: Sdk;
  readonly client: S3Client;
}

/** Attempts at one request, where AWS_MAX_ATTEMPTS does not say: with the SDK's growing pauses these take about ten seconds. */
const defaultAttempts = 8;
/** Milliseconds without a byte after which a connection counts as lost. */
const idleMs = 20_000;

/** Clients by the settings in the environment that they were made with. */
const services = new Map<string, Promise<Service>>();

/**
 * Opens a bucket. Credentials, region, endpoint and retries come from where the AWS SDK looks for them: the environment, the files in
 * `~/.aws`, the role of a container or a machine. With an endpoint of one's own in the environment, the bucket's name goes into the path.
 *
 * @throws {MachineError} if the SDK is not installed. The bucket itself is not asked for anything.
 */
export async function openBucket(bucket: string): Promise<ObjectStore> {
  const own = Object.entries(process.env).filter(([name]) => name.startsWith("AWS_"));
  const settings = createHash("sha256").update(JSON.stringify(own)).digest("hex");
  const service = services.get(settings) ?? openService();
  services.set(settings, service);
  return bucketStore(await service, bucket);
}

async function openService(): Promise<Service> {
  const endpoint = process.env["AWS_ENDPOINT_URL_S3"] ?? process.env["AWS_ENDPOINT_URL"];
  // The SDK writes several lines to stderr on each Node that it will not support some day.
  const warnsOf = "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED";
  const before = process.env[warnsOf];
  process.env[warnsOf] ??= "true";
  try {
    const sdk: Sdk = await import("@aws-sdk/client-s3");
    const client = new sdk.S3Client({
      ...(process.env["AWS_MAX_ATTEMPTS"] === undefined && { maxAttempts: defaultAttempts }),
      ...(endpoint !== undefined && { forcePathStyle: true }),
      requestHandler: { connectionTimeout: 10_000, socketTimeout: idleMs },
    });
    return { sdk, client };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new MachineError(
      `s3://: expected the package @aws-sdk/client-s3, got none (${message.split("\n")[0]}). Run npm install @aws-sdk/client-s3.`,
      "s3-sdk",
    );
  } finally {
    if (before === undefined) delete process.env[warnsOf];
  }
}

function bucketStore({ sdk, client }: Service, bucket: string): ObjectStore {
  const failure = (key: string, asked: Asked, error: unknown): Error =>
    error instanceof MachineError
      ? error
      : storageError(bucketAddress({ bucket, key }), asked, error as ServiceError);

  async function* pages(prefix: string, delimiter?: string, limit?: number) {
    let token: string | undefined;
    do {
      const page = await client
        .send(
          new sdk.ListObjectsV2Command({
            Bucket: bucket,
            Prefix: prefix,
            ...(delimiter !== undefined && { Delimiter: delimiter }),
            ...(token !== undefined && { ContinuationToken: token }),
            ...(limit !== undefined && { MaxKeys: limit }),
          }),
        )
        .catch((error: unknown) => {
          throw failure(prefix, "list", error);
        });
      const objects = (page.Contents ?? []).map(
        ({ Key = "", Size = 0, ETag }): StoredObject => ({ key: Key, bytes: Size, etag: ETag ?? null }),
      );
      yield { objects, folders: (page.CommonPrefixes ?? []).flatMap(({ Prefix }) => Prefix ?? []) };
      token = page.IsTruncated === true && limit === undefined ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  const send = async (key: string, bytes: Uint8Array, onlyIfAbsent: boolean): Promise<void> => {
    await client.send(
      new sdk.PutObjectCommand({
        ...{ Bucket: bucket, Key: key, Body: bytes, ContentLength: bytes.length },
        ...(onlyIfAbsent && { IfNoneMatch: "*" }),
      }),
    );
  };

  const get = async (
    key: string,
    range?: { readonly from: number; readonly to: number },
  ): Promise<ObjectBytes | null> => {
    const Range = range && `bytes=${range.from}-${range.to - 1}`;
    const { Body, ETag } = await client.send(
      new sdk.GetObjectCommand({ Bucket: bucket, Key: key, ...(Range !== undefined && { Range }) }),
    );
    return { bytes: (await Body?.transformToByteArray()) ?? new Uint8Array(), etag: ETag ?? null };
  };

  const store: ObjectStore = {
    async *list(prefix) {
      for await (const { objects } of pages(prefix)) yield* objects;
    },
    async listFolder(prefix) {
      const objects: StoredObject[] = [];
      const folders: string[] = [];
      for await (const page of pages(prefix, "/")) {
        objects.push(...page.objects);
        folders.push(...page.folders);
      }
      return { objects, folders };
    },
    async get(key, range) {
      try {
        // The SDK tries a request again, but not the transfer of its answer.
        return await again(() => get(key, range), isConnectionFault);
      } catch (error) {
        const { name } = error as ServiceError;
        if (name === "NoSuchKey" || name === "InvalidRange") return null;
        throw failure(key, "read", error);
      }
    },
    async find(key) {
      // No key comes before the prefix that it is itself.
      for await (const { objects } of pages(key, undefined, 1)) {
        const [first] = objects;
        if (first?.key === key) return first;
      }
      return null;
    },
    async put(key, bytes) {
      await send(key, bytes, false).catch((error: unknown) => {
        throw failure(key, "write", error);
      });
    },
    async putIfAbsent(key, bytes) {
      try {
        await again(
          () => send(key, bytes, true),
          (error) => statusOf(error) === 409,
        );
        return true;
      } catch (error) {
        const status = statusOf(error as ServiceError);
        if (status === 412) return false;
        if (status !== 501) throw failure(key, "write", error);
        // A server without conditional writes: the name of what is written follows from its content, so that no harm can come of it.
        if (await store.find(key)) return false;
        await store.put(key, bytes);
        return true;
      }
    },
  };
  return store;
}

const transfers = 5;

/** Calls again, after growing pauses, what fails for a reason that may pass. */
async function again<T>(call: () => Promise<T>, mayPass: (error: ServiceError) => boolean): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt === transfers || !mayPass(error as ServiceError)) throw error;
      await wait(100 * 2 ** attempt * (1 + Math.random()));
    }
  }
}
