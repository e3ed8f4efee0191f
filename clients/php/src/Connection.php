<?php

declare(strict_types=1);

namespace Mountsea\Gemini;

use Grpc\Channel;
use Grpc\ChannelCredentials;
use Mountsea\Gemini\V1\GenerativeServiceClient;
use Mountsea\Gemini\V1\ModelServiceClient;

/**
 * A connection to the gateway, and clients that use it. The messages of the contract are in Mountsea\Gemini\V1.
 */
final class Connection
{
    /**
     * The largest message in bytes that is received: a picture may be larger than gRPC's default of 4 MiB, and a response
     * that the client rejects is billed all the same.
     */
    public const MAX_MESSAGE_BYTES = 64 << 20;

    private function __construct(
        public readonly GenerativeServiceClient $generative,
        public readonly ModelServiceClient $models,
    ) {
    }

    /**
     * Connects to the gateway at HOST:PORT, or at a URL with the scheme http or https, and sends the key with each call.
     *
     * Without a scheme it uses TLS if there is a CA, or if the host is not loopback. Without a CA it trusts the authorities
     * that gRPC trusts.
     *
     * @param string|null $caFile certificates in PEM
     */
    public static function open(string $endpoint, #[\SensitiveParameter] string $key, ?string $caFile = null): self
    {
        [$scheme, $address] = str_contains($endpoint, '://') ? explode('://', rtrim($endpoint, '/'), 2) : [null, $endpoint];
        $secure = $scheme === null ? $caFile !== null || !self::isLoopback($address) : $scheme === 'https';
        $ca = $caFile === null ? null : file_get_contents($caFile);
        $options = [
            'credentials' => $secure ? ChannelCredentials::createSsl($ca) : ChannelCredentials::createInsecure(),
            'grpc.max_receive_message_length' => self::MAX_MESSAGE_BYTES,
            // A larger request is not retried.
            'grpc.per_rpc_retry_buffer_size' => self::MAX_MESSAGE_BYTES,
            // Only while calls are open: a connection without any may be closed by the gateway.
            'grpc.keepalive_time_ms' => 30_000,
            'grpc.keepalive_timeout_ms' => 20_000,
            'grpc.keepalive_permit_without_calls' => 0,
            // Retries of UNAVAILABLE, unless the gateway says that a retry is of no use.
            'grpc.service_config' => file_get_contents(__DIR__ . '/service_config.json'),
        ];
        $channel = new Channel($address, $options);
        // Unlike call credentials it works in plaintext, too.
        $options['update_metadata'] = static fn (array $metadata): array => ['x-goog-api-key' => [$key]] + $metadata;
        return new self(
            new GenerativeServiceClient($address, $options, $channel),
            new ModelServiceClient($address, $options, $channel),
        );
    }

    private static function isLoopback(string $address): bool
    {
        $host = (string) preg_replace('/:\d+$/', '', $address);
        return $host === 'localhost' || $host === '[::1]' || str_starts_with($host, '127.');
    }
}
