/** Refusals of S3 in words, with the way out of each. */
import { MachineError } from "../errors.ts";

/** The fields of the errors of the AWS SDK that tell what happened. */
export interface ServiceError {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly Region?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

/** A kind of request. */
export type Asked = "list" | "read" | "write";

const permissions: Readonly<Record<Asked, string>> = {
  list: "s3:ListBucket",
  read: "s3:GetObject",
  write: "s3:PutObject",
};

const credentialsAdvice =
  "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role gives credentials";

/** Faults of the caller's identity: another attempt with the same credentials fails again. */
const identityFaults = new Set([
  "SignatureDoesNotMatch",
  "InvalidAccessKeyId",
  "NotSignedUp",
  "ExpiredToken",
  "ExpiredTokenException",
  "InvalidToken",
  "TokenRefreshRequired",
]);

/** Codes of a connection that was not made, or not kept. */
const connectionFaults = new Set([
  ...["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ECONNRESET", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH"],
  ...["ENETUNREACH", "ERR_STREAM_PREMATURE_CLOSE", "UND_ERR_SOCKET"],
]);

/** Returns whether the error is of a connection, so that the same request may succeed at another moment. */
export function isConnectionFault({ name, code, message = "" }: ServiceError): boolean {
  return (
    connectionFaults.has(code ?? "") ||
    name === "TimeoutError" ||
    /socket hang up|aborted|premature close|terminated/i.test(message)
  );
}

/** Returns the status that the server answered with, undefined where it did not answer. */
export function statusOf({ $metadata }: ServiceError): number | undefined {
  return $metadata?.httpStatusCode;
}

/** Returns the error that tells a user what went wrong at an address, and what to do. */
export function storageError(address: string, asked: Asked, error: ServiceError): MachineError {
  const [what, code] = faultOf(asked, error);
  return new MachineError(`${address}: ${what}`, code);
}

function faultOf(asked: Asked, error: ServiceError): readonly [what: string, code: string] {
  const { name = "Error", message = "", code = "" } = error;
  const status = statusOf(error);
  const said = message === "" || message === "UnknownError" ? name : `${name}: ${message}`;
  const wasRefused = status === undefined ? said : `${status} ${said}`;
  if (name === "CredentialsProviderError" || /could not load credentials/i.test(message)) {
    return [`expected credentials, got none. ${credentialsAdvice}.`, "s3-credentials"];
  }
  if (/region is missing/i.test(message)) {
    return ["expected a region, got none. Set AWS_REGION (us-east-1 for a server of your own).", "s3-region"];
  }
  if (identityFaults.has(name) || /access key id/i.test(message)) {
    return [`expected valid credentials, got ${wasRefused}. ${credentialsAdvice}.`, "s3-credentials"];
  }
  if (name === "RequestTimeTooSkewed") {
    return [
      `expected this machine's clock to be right within 15 minutes, got ${new Date().toISOString()}, which the server refuses. Set the clock (NTP).`,
      "s3-clock",
    ];
  }
  if (name === "NoSuchBucket") {
    return ["expected a bucket, got none of that name. Make it, or correct the address.", "s3-no-bucket"];
  }
  if (name === "PermanentRedirect" || name === "AuthorizationHeaderMalformed" || status === 301) {
    const region = error.Region ?? error.$response?.headers?.["x-amz-bucket-region"];
    const there = region === undefined ? "the bucket's region" : region;
    return [`expected the region of the bucket, got another. Set AWS_REGION to ${there}.`, "s3-region"];
  }
  if (name === "InvalidObjectState") {
    return [
      "expected an object that can be read, got an archived one. Restore it from the archive.",
      "s3-archived",
    ];
  }
  if (status === 403 || name === "AccessDenied") {
    return [
      `access denied: cannot ${asked}. Allow ${permissions[asked]} to these credentials, or pass others.`,
      "s3-access",
    ];
  }
  if (status === 429 || status === 503 || /slowdown|throttl/i.test(name)) {
    const attempts = error.$metadata?.attempts;
    const times = attempts === undefined ? "" : ` after ${attempts} attempts`;
    return [
      `expected an answer, got ${wasRefused}${times}: the storage is busy. Run it again with fewer tasks at once, or raise AWS_MAX_ATTEMPTS. What was stored is kept.`,
      "s3-busy",
    ];
  }
  if (isConnectionFault(error)) {
    return [
      `expected an answer, got ${code || said}: the storage does not answer. Check the network and AWS_ENDPOINT_URL_S3, and run it again. What was stored is kept.`,
      "s3-unreachable",
    ];
  }
  return [
    `cannot ${asked}: ${wasRefused.replace(/\.$/, "")}. What was stored is kept; run it again once this is mended.`,
    "s3",
  ];
}
