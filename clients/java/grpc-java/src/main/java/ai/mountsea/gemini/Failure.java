package ai.mountsea.gemini;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RequestInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Why a call failed.
 *
 * @param code gRPC's code
 * @param message what happened, for people
 * @param reason what happened, for programs: a row of the gateway's docs/errors.md, or upstream's own; empty if the
 *     error did not come from the gateway
 * @param violations the rules that the request breaks
 * @param retryDelay how long to wait before a retry, if one may help
 * @param requestId quote it to support; empty if the gateway sent none
 */
public record Failure(
        Status.Code code,
        String message,
        String reason,
        List<Violation> violations,
        Optional<Duration> retryDelay,
        String requestId) {

    /**
     * A rule that a request breaks.
     *
     * @param field the path of the field, such as {@code generation_config.temperature}
     * @param description what is allowed
     */
    public record Violation(String field, String description) {}

    private static final Metadata.Key<String> REQUEST_ID =
            Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);

    static Failure of(Throwable error) {
        Status status = Status.fromThrowable(error);
        Metadata trailers = Optional.ofNullable(Status.trailersFromThrowable(error)).orElseGet(Metadata::new);
        List<Any> details = Optional.ofNullable(StatusProto.fromThrowable(error))
                .map(com.google.rpc.Status::getDetailsList)
                .orElse(List.of());
        return new Failure(
                status.getCode(),
                Optional.ofNullable(status.getDescription()).orElse(""),
                find(details, ErrorInfo.class).map(ErrorInfo::getReason).orElse(""),
                find(details, BadRequest.class).stream()
                        .flatMap(it -> it.getFieldViolationsList().stream())
                        .map(it -> new Violation(it.getField(), it.getDescription()))
                        .toList(),
                find(details, RetryInfo.class)
                        .map(RetryInfo::getRetryDelay)
                        .map(it -> Duration.ofSeconds(it.getSeconds(), it.getNanos())),
                find(details, RequestInfo.class)
                        .map(RequestInfo::getRequestId)
                        .or(() -> Optional.ofNullable(trailers.get(REQUEST_ID)))
                        .orElse(""));
    }

    private static <T extends Message> Optional<T> find(List<Any> details, Class<T> type) {
        for (Any detail : details) {
            try {
                if (detail.is(type)) {
                    return Optional.of(detail.unpack(type));
                }
            } catch (InvalidProtocolBufferException e) {
                // A detail that cannot be read explains nothing; the others may.
            }
        }
        return Optional.empty();
    }
}
