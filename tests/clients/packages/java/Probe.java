import ai.mountsea.gemini.Gemini;
import ai.mountsea.gemini.v1.*;
import io.grpc.StatusRuntimeException;
import java.io.File;
import java.util.concurrent.TimeUnit;

/** Makes one call for each argument, which is ENDPOINT,KEY or ENDPOINT,KEY,CA_FILE, and prints how it ended. */
class Probe {
    public static void main(String[] arguments) {
        for (var argument : arguments) {
            var values = argument.split(",");
            try {
                var channel = Gemini.connect(values[0], values[1], values.length > 2 ? new File(values[2]) : null);
                var request = GenerateContentRequest.newBuilder().setModel("gemini-2.5-flash");
                // More than gRPC keeps for a retry by default.
                request.addContentsBuilder().setRole("user").addPartsBuilder().setText("a".repeat(2 << 20));
                GenerativeServiceGrpc.newBlockingStub(channel)
                        .withDeadlineAfter(30, TimeUnit.SECONDS).generateContent(request.build());
                System.out.println("OK");
            } catch (StatusRuntimeException e) {
                System.out.println(Gemini.explain(e).code());
            } catch (IllegalArgumentException e) {
                System.out.println("not an endpoint");
            }
        }
    }
}
