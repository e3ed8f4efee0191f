// What an error of the gateway says; the same for both stacks.

import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { Code } from "./gen/google/rpc/code_pb.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";

/** What the gateway says about a call that failed. */
export interface Explanation {
  /** The name of the gRPC code, such as `INVALID_ARGUMENT`. */
  code: string;
  /** What happened, in words. */
  message: string;
  /** The stable reason, such as `REQUEST_INVALID`; empty if the error did not come from the gateway. */
  reason: string;
  /** All rules that the request breaks: the path of the field, and what is allowed there. */
  violations: { field: string; description: string }[];
  /** How long to wait before a retry, in milliseconds; undefined if the gateway advises none. */
  retryDelayMs: number | undefined;
  /** The id to quote to support; empty if the call did not reach the gateway. */
  requestId: string;
}

/** `find` returns the first detail of a type. `header` is the value of the header `x-request-id`. */
export function explainStatus(
  code: number,
  message: string,
  find: <T extends DescMessage>(schema: T) => MessageShape<T> | undefined,
  header: string | undefined,
): Explanation {
  const delay = find(RetryInfoSchema)?.retryDelay;
  const violations = find(BadRequestSchema)?.fieldViolations ?? [];
  return {
    code: Code[code] ?? "UNKNOWN",
    message,
    reason: find(ErrorInfoSchema)?.reason ?? "",
    violations: violations.map(({ field, description }) => ({ field, description })),
    retryDelayMs: delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6,
    requestId: find(RequestInfoSchema)?.requestId || header || "",
  };
}
