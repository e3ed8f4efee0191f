import ai.mountsea.gemini.v1.Content;
import ai.mountsea.gemini.v1.GenerateContentRequest;
import ai.mountsea.gemini.v1.GenerateContentResponse;
import ai.mountsea.gemini.v1.GenerativeServiceGrpc;
import ai.mountsea.gemini.v1.Part;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;

/** Calls the gateway at the given address, with the client that was generated for Java. */
public final class Client {
    static GenerateContentRequest newRequest(String text) {
        var content = Content.newBuilder().setRole("user").addParts(Part.newBuilder().setText(text));
        return GenerateContentRequest.newBuilder().setModel("gemini-2.5-flash").addContents(content).build();
    }

    static String text(GenerateContentResponse answer) {
        return answer.getCandidates(0).getContent().getParts(0).getText();
    }

    public static void main(String[] arguments) {
        ManagedChannel channel = ManagedChannelBuilder.forTarget(arguments[0]).usePlaintext().build();
        var stub = GenerativeServiceGrpc.newBlockingStub(channel);
        System.out.println("answer: " + text(stub.generateContent(newRequest("Why is the sky blue?"))));
        var streamed = new StringBuilder();
        stub.streamGenerateContent(newRequest("Why is the sky blue?")).forEachRemaining(it -> streamed.append(text(it)));
        System.out.println("stream: " + streamed);
        try {
            stub.generateContent(GenerateContentRequest.newBuilder().setModel("gemini-2.5-flash").build());
        } catch (StatusRuntimeException e) {
            var status = e.getStatus();
            System.out.println("refused: " + status.getCode().value() + " " + status.getDescription());
        }
        channel.shutdownNow();
    }
}
