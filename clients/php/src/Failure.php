<?php

declare(strict_types=1);

namespace Mountsea\Gemini;

use Google\Rpc\BadRequest;
use Google\Rpc\Code;
use Google\Rpc\ErrorInfo;
use Google\Rpc\RequestInfo;
use Google\Rpc\RetryInfo;
use Google\Rpc\Status;

/**
 * An error of a call, explained. docs/errors.md of the gateway lists the reasons.
 */
final class Failure
{
    private function __construct(
        /** The name of the code as the gRPC specification has it, such as DEADLINE_EXCEEDED. */
        public readonly string $code,
        /** Stable, for programs, such as REQUEST_INVALID. Empty if the error does not come from the gateway. */
        public readonly string $reason,
        /** @var array<BadRequest\FieldViolation> each field of the request that breaks a rule, and the rule */
        public readonly array $violations,
        /** How long to wait before a retry, in seconds; null if none will help. */
        public readonly ?float $retryDelay,
        /** To quote to support. Empty if the error does not come from the gateway. */
        public readonly string $requestId,
    ) {
    }

    /**
     * Reads the details of an error.
     *
     * @param object $status the second value of `$call->wait()`, or `$call->getStatus()` of a stream
     */
    public static function explain(object $status): self
    {
        $known = [BadRequest::class, ErrorInfo::class, RequestInfo::class, RetryInfo::class];
        $found = [];
        $rich = new Status();
        $rich->mergeFromString($status->metadata['grpc-status-details-bin'][0] ?? '');
        foreach ($rich->getDetails() as $detail) {
            foreach ($known as $type) {
                // getTypeUrl, since unpack() fails for a type that is not loaded.
                $name = str_replace('\\', '.', lcfirst(str_replace('Rpc\\', 'rpc\\', $type)));
                if ($detail->getTypeUrl() === "type.googleapis.com/$name") {
                    $found[$type] = new $type();
                    $found[$type]->mergeFromString($detail->getValue());
                }
            }
        }
        $delay = ($found[RetryInfo::class] ?? null)?->getRetryDelay();
        return new self(
            Code::name($status->code),
            ($found[ErrorInfo::class] ?? null)?->getReason() ?? '',
            iterator_to_array(($found[BadRequest::class] ?? null)?->getFieldViolations() ?? []),
            $delay === null ? null : $delay->getSeconds() + $delay->getNanos() / 1e9,
            ($found[RequestInfo::class] ?? null)?->getRequestId() ?? $status->metadata['x-request-id'][0] ?? '',
        );
    }
}
