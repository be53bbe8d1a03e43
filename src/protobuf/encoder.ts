import { createRequire } from "node:module";
import type protobuf from "protobufjs/light.js";

/** Messages of a file format as protobufjs describes them in JSON. */
export type Messages = protobuf.INamespace;

/** Returns a field of a message: its number, and the type that the `.proto` file gives it. */
export function field(id: number, type: string, rule?: "repeated"): protobuf.IField {
  return { id, type, ...(rule && { rule }) };
}

/** Returns a field that holds values of a type by name. */
export function mapField(id: number, type: string): protobuf.IMapField {
  return { id, type, keyType: "string" };
}

/** Encodes one message of the type that was asked for. Fields are named in camelCase; absent ones are left out. */
export type Encode = (message: object) => Uint8Array;

/**
 * Returns an encoder of the messages called `name`. The protobuf library is loaded here, which only a run that writes such a file needs.
 */
export async function encoderOf(messages: Messages, name: string): Promise<Encode> {
  const { default: library } = await import("protobufjs/light.js");
  const type = library.Root.fromJSON(messages).lookupType(name);
  return (message) => type.encode(message).finish();
}

/** Returns the same encoder at once, for callers that cannot wait for the library to be imported. */
export function encoderNow(messages: Messages, name: string): Encode {
  const library = createRequire(import.meta.url)("protobufjs/light.js") as typeof protobuf;
  const type = library.Root.fromJSON(messages).lookupType(name);
  return (message) => type.encode(message).finish();
}
