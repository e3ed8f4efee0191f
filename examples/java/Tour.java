import ai.mountsea.gemini.Failure;
import ai.mountsea.gemini.Gemini;
import ai.mountsea.gemini.v1.*;
import ai.mountsea.gemini.v1.GenerativeServiceGrpc.GenerativeServiceBlockingStub;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import java.io.File;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * Every part of the API once: mvn -q compile exec:java -Dexec.args="ENDPOINT KEY [CA_FILE]".
 *
 * <p>It saves pictures in the current directory. clients/build java makes the artifacts.
 */
public final class Tour {
    static final String MODEL = "gemini-2.5-flash";
    static final String IMAGE_MODEL = "gemini-3-pro-image-preview";
    static final String QUESTION = "Why is the sky blue?";

    public static void main(String[] arguments) throws Exception {
        var ca = arguments.length > 2 ? new File(arguments[2]) : null;
        var channel = Gemini.connect(arguments[0], arguments[1], ca);
        try {
            var gemini = GenerativeServiceGrpc.newBlockingStub(channel);
            text(gemini);
            stream(gemini);
            edited(gemini, picture(gemini));
            tool(gemini);
            deadline(gemini);
            cancel(gemini);
            refused(gemini);
            busy(gemini);
            blocked(gemini);
            usage(gemini);
        } finally {
            channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
        }
    }

    static Part.Builder part(String text) {
        return Part.newBuilder().setText(text);
    }

    static GenerateContentRequest.Builder ask(String model, Part.Builder... parts) {
        var request = GenerateContentRequest.newBuilder().setModel(model);
        var content = request.addContentsBuilder().setRole("user");
        for (var part : parts) {
            content.addParts(part);
        }
        return request;
    }

    /** The parts of an answer without its thoughts. A blocked prompt has none. */
    static List<Part> parts(GenerateContentResponse answer) {
        return answer.getCandidatesList().stream()
                .flatMap(candidate -> candidate.getContent().getPartsList().stream())
                .filter(part -> !part.getThought())
                .toList();
    }

    static String text(GenerateContentResponse answer) {
        return parts(answer).stream().map(Part::getText).collect(Collectors.joining());
    }

    static void text(GenerativeServiceBlockingStub gemini) {
        var answer = gemini.generateContent(ask(MODEL, part(QUESTION)).build());
        System.out.println("text: " + text(answer));
    }

    static void stream(GenerativeServiceBlockingStub gemini) {
        System.out.print("stream: ");
        var answers = gemini.streamGenerateContent(ask(MODEL, part(QUESTION)).build());
        answers.forEachRemaining(answer -> {
            System.out.print(text(answer));
            System.out.flush();
        });
        System.out.println();
    }

    static Blob save(String name, String file, GenerateContentResponse answer) throws IOException {
        // Without a picture, the answer has a block reason or a finish reason.
        var picture = parts(answer).stream()
                .filter(Part::hasInlineData)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("no picture: " + answer))
                .getInlineData();
        Files.write(Path.of(file), picture.getData().toByteArray());
        System.out.printf("%s: %s, %s, %d bytes%n",
                name, file, picture.getMimeType(), picture.getData().size());
        return picture;
    }

    static Blob picture(GenerativeServiceBlockingStub gemini) throws IOException {
        var request = ask(IMAGE_MODEL, part("a lighthouse at dawn"));
        request.getGenerationConfigBuilder().getImageConfigBuilder().setImageSize("4K");
        return save("picture", "lighthouse.png", gemini.generateContent(request.build()));
    }

    static void edited(GenerativeServiceBlockingStub gemini, Blob lighthouse) throws IOException {
        var picture = Part.newBuilder().setInlineData(lighthouse);
        var request = ask(IMAGE_MODEL, part("at night"), picture);
        save("edited", "lighthouse-night.png", gemini.generateContent(request.build()));
    }

    static void tool(GenerativeServiceBlockingStub gemini) {
        var request = ask(MODEL, part("What is the weather in Oslo?"));
        request.addToolsBuilder().addFunctionDeclarationsBuilder()
                .setName("get_weather")
                .setDescription("The weather in a city")
                .getParametersBuilder()
                .setType(Type.OBJECT)
                .putProperties("city", Schema.newBuilder().setType(Type.STRING).build())
                .addRequired("city");
        var answer = gemini.generateContent(request.build());
        var calls = parts(answer).stream().filter(Part::hasFunctionCall).map(Part::getFunctionCall);
        var call = calls.findFirst().orElseThrow();
        System.out.println("tool: " + call.getName());

        var seven = Value.newBuilder().setNumberValue(7).build();
        var result = Struct.newBuilder().putFields("celsius", seven);
        // The model's turn as it came: it may have signatures, which the model expects back.
        request.addContents(answer.getCandidates(0).getContent());
        request.addContentsBuilder().setRole("user").addPartsBuilder().getFunctionResponseBuilder()
                .setId(call.getId()).setName(call.getName()).setResponse(result);
        System.out.println("tool answer: " + text(gemini.generateContent(request.build())));
    }

    static void deadline(GenerativeServiceBlockingStub gemini) {
        try {
            gemini.withDeadlineAfter(500, TimeUnit.MILLISECONDS)
                    .generateContent(ask("sandbox-hang", part(QUESTION)).build());
            throw new IllegalStateException("expected an error");
        } catch (StatusRuntimeException e) {
            System.out.println("deadline: " + Gemini.explain(e).code());
        }
    }

    static void cancel(GenerativeServiceBlockingStub gemini) {
        try (var context = Context.current().withCancellation()) {
            context.run(() -> {
                var request = ask("sandbox-hang-stream", part(QUESTION)).build();
                var answers = gemini.streamGenerateContent(request);
                answers.next();
                context.cancel(null);
                answers.forEachRemaining(answer -> {});
                throw new IllegalStateException("expected an error");
            });
        } catch (StatusRuntimeException e) {
            System.out.println("cancel: " + Gemini.explain(e).code());
        }
    }

    static Failure failure(
            GenerativeServiceBlockingStub gemini, GenerateContentRequest.Builder request) {
        try {
            gemini.generateContent(request.build());
            throw new IllegalStateException("expected an error");
        } catch (StatusRuntimeException e) {
            return Gemini.explain(e);
        }
    }

    static void refused(GenerativeServiceBlockingStub gemini) {
        var request = ask(MODEL, part(QUESTION));
        request.getGenerationConfigBuilder().setTemperature(3).setTopP(2);
        var failure = failure(gemini, request);
        System.out.println("refused: " + failure.code() + ", " + failure.reason());
        for (var violation : failure.violations()) {
            System.out.println("  " + violation.field() + ": " + violation.description());
        }
        System.out.println("  request id: " + failure.requestId());
    }

    static void busy(GenerativeServiceBlockingStub gemini) {
        var failure = failure(gemini, ask("sandbox-429", part(QUESTION)));
        var seconds = BigDecimal.valueOf(failure.retryDelay().orElseThrow().toMillis(), 3);
        System.out.printf("busy: %s, %s, retry in %s s%n",
                failure.code(), failure.reason(), seconds.stripTrailingZeros().toPlainString());
    }

    static void blocked(GenerativeServiceBlockingStub gemini) {
        var answer = gemini.generateContent(ask("sandbox-blocked", part(QUESTION)).build());
        System.out.println("blocked: " + answer.getPromptFeedback().getBlockReason());
    }

    static void usage(GenerativeServiceBlockingStub gemini) {
        var used = gemini.generateContent(ask(MODEL, part(QUESTION)).build()).getUsageMetadata();
        System.out.printf("usage: %d tokens in, %d tokens out%n",
                used.getPromptTokenCount(), used.getCandidatesTokenCount());
    }
}
