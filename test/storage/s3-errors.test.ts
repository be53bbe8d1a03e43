import { expect, test } from "vitest";
import { isConnectionFault, type ServiceError, storageError } from "../../src/storage/s3-errors.ts";

const answer = (name: string, httpStatusCode: number, more: Partial<ServiceError> = {}): ServiceError => ({
  name,
  message: "UnknownError",
  ...more,
  $metadata: { httpStatusCode, attempts: 8 },
});

// Names and statuses are those of the S3 API's list of error responses.
test.each([
  ["s3-access", answer("AccessDenied", 403), "Allow s3:PutObject"],
  ["s3-access", answer("403", 403), "access denied"],
  ["s3-credentials", answer("ExpiredToken", 400), "AWS_PROFILE"],
  ["s3-credentials", answer("SignatureDoesNotMatch", 403), "AWS_SECRET_ACCESS_KEY"],
  ["s3-credentials", { name: "CredentialsProviderError", message: "Could not load" }, "got none"],
  ["s3-region", answer("PermanentRedirect", 301), "Set AWS_REGION to the bucket's region"],
  [
    "s3-region",
    answer("AuthorizationHeaderMalformed", 400, { Region: "eu-west-1" }),
    "Set AWS_REGION to eu-west-1",
  ],
  ["s3-clock", answer("RequestTimeTooSkewed", 403), "Set the clock"],
  ["s3-no-bucket", answer("NoSuchBucket", 404), "Make it"],
  ["s3-archived", answer("InvalidObjectState", 403), "Restore it"],
  ["s3-busy", answer("SlowDown", 503), "503 SlowDown after 8 attempts"],
  ["s3-busy", answer("TooManyRequests", 429), "fewer tasks at once"],
  ["s3-unreachable", { name: "Error", message: "", code: "ECONNREFUSED" }, "AWS_ENDPOINT_URL_S3"],
  ["s3-unreachable", { name: "TimeoutError", message: "Socket timed out" }, "does not answer"],
  [
    "s3",
    answer("EntityTooLarge", 400, { message: "Too large." }),
    "cannot write: 400 EntityTooLarge: Too large. What",
  ],
])("%s: %o is told with the way out", (code, error, advice) => {
  const told = storageError("s3://bucket/key", "write", error);
  expect(told.code).toBe(code);
  expect(told.message).toContain(advice);
  expect(told.message).toMatch(/^s3:\/\/bucket\/key: .*\.$/);
  expect(told.message).not.toContain("..");
});

test("a connection that broke may be tried again, a refusal may not", () => {
  expect(isConnectionFault({ name: "Error", code: "ECONNRESET" })).toBe(true);
  expect(isConnectionFault({ name: "Error", message: "socket hang up" })).toBe(true);
  expect(isConnectionFault(answer("AccessDenied", 403))).toBe(false);
});
