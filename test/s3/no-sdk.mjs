/** Loaded before the command: the AWS SDK is not installed. */
import { register } from "node:module";

const hook = `export async function resolve(specifier, context, next) {
  if (!specifier.startsWith("@aws-sdk/")) return next(specifier, context);
  throw Object.assign(new Error("Cannot find package '" + specifier + "'"), { code: "ERR_MODULE_NOT_FOUND" });
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
