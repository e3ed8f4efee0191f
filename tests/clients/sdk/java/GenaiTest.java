// Google's unmodified REST SDK for Java, against the gateway.
//
// SERVICE is the base URL of a gateway in front of the sandbox, RELAY of one in front of the double at UPSTREAM.

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.genai.Chat;
import com.google.genai.Client;
import com.google.genai.ResponseStream;
import com.google.genai.errors.ApiException;
import com.google.genai.errors.ClientException;
import com.google.genai.errors.GenAiIOException;
import com.google.genai.errors.ServerException;
import com.google.genai.types.BatchJobSource;
import com.google.genai.types.Content;
import com.google.genai.types.CreateCachedContentConfig;
import com.google.genai.types.FinishReason;
import com.google.genai.types.GenerateContentConfig;
import com.google.genai.types.GenerateContentResponse;
import com.google.genai.types.HttpOptions;
import com.google.genai.types.HttpRetryOptions;
import com.google.genai.types.ImageConfig;
import com.google.genai.types.InlinedRequest;
import com.google.genai.types.ListModelsConfig;
import com.google.genai.types.Model;
import com.google.genai.types.Part;
import com.google.genai.types.Schema;
import com.google.genai.types.Tool;
import com.google.genai.types.UploadFileConfig;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

public final class GenaiTest {
  private static final String TEXT_MODEL = "gemini-2.5-flash";
  private static final String IMAGE_MODEL = "gemini-2.5-flash-image";
  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static final List<String> CALLS = new ArrayList<>();

  private final Client service = clientOf("SERVICE", "a-key", HttpOptions.builder());
  private final Client relay = clientOf("RELAY", "a-key", HttpOptions.builder());

  /** A client that makes one attempt: by default this SDK makes up to five, with seconds between them. */
  private static Client clientOf(String address, String key, HttpOptions.Builder options) {
    HttpRetryOptions once = HttpRetryOptions.builder().attempts(1).build();
    HttpOptions all = options.baseUrl(System.getenv(address)).retryOptions(once).build();
    return Client.builder().apiKey(key).httpOptions(all).build();
  }

  private GenerateContentResponse generate(String text, GenerateContentConfig config) {
    return service.models.generateContent(TEXT_MODEL, text, config);
  }

  /** Reads a stream to its end into the list, which has the chunks before an error. */
  private static void read(Client client, String model, List<GenerateContentResponse> chunks) {
    try (ResponseStream<GenerateContentResponse> stream = client.models.generateContentStream(model, "hello there", null)) {
      stream.forEach(chunks::add);
    }
  }

  private static String textOf(Iterable<GenerateContentResponse> chunks) {
    StringBuilder text = new StringBuilder();
    chunks.forEach(chunk -> text.append(chunk.text()));
    return text.toString();
  }

  private static void assertContains(String text, String part) {
    assertTrue(text.contains(part), text);
  }

  private static ApiException refusal(int code, String status, Executable call) {
    Class<? extends ApiException> type = code < 500 ? ClientException.class : ServerException.class;
    ApiException refused = assertThrows(type, call);
    assertEquals(code + " " + status, refused.code() + " " + refused.status(), refused.message());
    return refused;
  }

  private static HttpResponse<String> ask(String path) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("UPSTREAM") + path)).build();
    return HTTP.send(request, HttpResponse.BodyHandlers.ofString());
  }

  /** Waits until the call of that model was cancelled upstream. */
  private static void assertCancelled(String model) throws Exception {
    assertEquals(204, ask("/cancelled/" + model).statusCode(), model);
  }

  @Test
  void aTextIsGenerated() {
    GenerateContentResponse answer = generate("hello there", null);
    assertContains(answer.text(), "[sandbox] You said \"hello there\"");
    assertEquals(FinishReason.Known.STOP, answer.finishReason().knownEnum());
    assertEquals(2, answer.usageMetadata().get().promptTokenCount().get());
  }

  @Test
  void aTextIsStreamed() {
    List<GenerateContentResponse> chunks = new ArrayList<>();
    read(service, TEXT_MODEL, chunks);
    assertTrue(chunks.size() > 5);
    assertEquals(generate("hello there", null).text(), textOf(chunks));
    assertEquals(FinishReason.Known.STOP, chunks.get(chunks.size() - 1).finishReason().knownEnum());
  }

  @Test
  void theAsynchronousClientReadsTheSame() throws Exception {
    String whole = generate("hello there", null).text();
    assertEquals(whole, service.async.models.generateContent(TEXT_MODEL, "hello there", null).get().text());
    try (ResponseStream<GenerateContentResponse> stream =
        service.async.models.generateContentStream(TEXT_MODEL, "hello there", null).get()) {
      assertEquals(whole, textOf(stream));
    }
    ExecutionException failed =
        assertThrows(ExecutionException.class, () -> service.async.models.generateContent("sandbox-429", "hi", null).get());
    assertEquals(429, assertInstanceOf(ClientException.class, failed.getCause()).code());
  }

  @Test
  void aChatRemembersItsEarlierMessages() {
    Chat chat = service.chats.create(TEXT_MODEL);
    assertContains(chat.sendMessage("hello").text(), "hello");
    try (ResponseStream<GenerateContentResponse> stream = chat.sendMessageStream("again")) {
      assertContains(textOf(stream), "again");
    }
    assertContains(chat.sendMessage("third").text(), "third");
  }

  private byte[] picture(Content content) {
    ImageConfig image = ImageConfig.builder().aspectRatio("4:3").build();
    GenerateContentConfig config = GenerateContentConfig.builder().imageConfig(image).build();
    GenerateContentResponse answer = service.models.generateContent(IMAGE_MODEL, content, config);
    Stream<Part> parts = answer.parts().stream().filter(part -> part.inlineData().isPresent());
    return parts.findFirst().get().inlineData().get().data().get();
  }

  @Test
  void anImageIsGeneratedAndEdited() {
    byte[] made = picture(Content.fromParts(Part.fromText("a lighthouse")));
    assertEquals("PNG", new String(made, 1, 3));
    byte[] edited = picture(Content.fromParts(Part.fromBytes(made, "image/png"), Part.fromText("at night")));
    assertArrayEquals(Arrays.copyOfRange(made, 16, 24), Arrays.copyOfRange(edited, 16, 24));
    assertFalse(Arrays.equals(made, edited));
  }

  /** The function that the model calls. */
  public static String weather(String city) {
    CALLS.add(city);
    return city + ": sun";
  }

  @Test
  void theSdkCallsAFunctionAndSendsItsResultBack() throws Exception {
    Tool tool = Tool.builder().functions(GenaiTest.class.getMethod("weather", String.class)).build();
    GenerateContentResponse answer = generate("Paris please", GenerateContentConfig.builder().tools(tool).build());
    assertContains(answer.text(), "weather");
    assertEquals(1, CALLS.size());
    assertEquals(3, answer.automaticFunctionCallingHistory().get().size());
  }

  @Test
  void structuredOutputIsGenerated() throws Exception {
    Schema city = Schema.builder().type("OBJECT").properties(Map.of("people", Schema.builder().type("INTEGER").build())).build();
    Schema cities = Schema.builder().type("ARRAY").items(city).build();
    GenerateContentConfig.Builder config = GenerateContentConfig.builder().responseMimeType("application/json");
    String text = generate("cities", config.responseSchema(cities).build()).text();
    assertTrue(new ObjectMapper().readTree(text).get(0).get("people").isInt(), text);

    Map<String, Object> ant = Map.of("type", "object", "properties", Map.of("ant", Map.of("type", "string")));
    config = GenerateContentConfig.builder().responseMimeType("application/json");
    text = generate("animals", config.responseJsonSchema(ant).build()).text();
    assertTrue(new ObjectMapper().readTree(text).get("ant").isTextual(), text);
  }

  private static List<String> namesOf(Client client, ListModelsConfig config) {
    Stream<Model> models = StreamSupport.stream(client.models.list(config).spliterator(), false);
    return models.map(model -> model.name().get()).toList();
  }

  @Test
  void modelsAreListedAndDescribed() {
    for (Client client : List.of(service, relay)) {
      List<String> names = namesOf(client, ListModelsConfig.builder().build());
      assertTrue(names.contains("models/" + IMAGE_MODEL), names.toString());
      assertEquals(names, namesOf(client, ListModelsConfig.builder().pageSize(2).build()));
      Model model = client.models.get(IMAGE_MODEL, null);
      assertEquals("models/" + IMAGE_MODEL, model.name().get());
      assertTrue(model.supportedActions().get().contains("generateContent"));
    }
  }

  @Test
  void tokensAreCountedAndTextsAreEmbedded() {
    assertEquals(2, service.models.countTokens(TEXT_MODEL, "hello there", null).totalTokens().get());
    List<String> texts = List.of("hello", "there");
    assertEquals(2, service.models.embedContent("gemini-embedding-001", texts, null).embeddings().get().size());
  }

  @Test
  void whatUpstreamDoesNotOfferIsRefusedWithASentence() {
    Executable count = () -> relay.models.countTokens(TEXT_MODEL, "hello", null);
    Executable embed = () -> relay.models.embedContent(TEXT_MODEL, "hello", null);
    for (Executable call : List.of(count, embed)) {
      assertContains(refusal(501, "UNIMPLEMENTED", call).message(), " ");
    }
  }

  @Test
  void whatIsNotServedIsRefusedWithWhatToUseInstead() {
    UploadFileConfig file = UploadFileConfig.builder().mimeType("text/plain").build();
    Content hello = Content.fromParts(Part.fromText("hello"));
    CreateCachedContentConfig cache = CreateCachedContentConfig.builder().contents(hello).build();
    BatchJobSource batch = BatchJobSource.builder().inlinedRequests(InlinedRequest.builder().contents(hello)).build();
    assertRefused(404, "inlineData", () -> relay.files.upload(new byte[] {1}, file));
    assertRefused(404, "inlineData", () -> relay.files.get("files/a", null));
    assertRefused(404, "with each request", () -> relay.caches.create(TEXT_MODEL, cache));
    assertRefused(501, "one by one", () -> relay.batches.create(TEXT_MODEL, batch, null));
    assertRefused(404, "base model", () -> relay.tunings.get("tunedModels/a", null));
  }

  private static void assertRefused(int code, String advice, Executable call) {
    assertContains(refusal(code, code == 404 ? "NOT_FOUND" : "UNIMPLEMENTED", call).message(), advice);
  }

  static Stream<JsonNode> errors() throws IOException {
    JsonNode rows = new ObjectMapper().readTree(new File("errors.json"));
    return StreamSupport.stream(rows.spliterator(), false);
  }

  @ParameterizedTest
  @MethodSource("errors")
  void anErrorHasItsTypeCodeAndStatus(JsonNode row) {
    String model = row.get("model").asText();
    int code = row.get("code").asInt();
    String status = row.get("status").asText();
    List<GenerateContentResponse> chunks = new ArrayList<>();
    refusal(code, status, () -> read(service, model, chunks));
    assertEquals(row.has("after_chunks"), chunks.size() > 2);
    if (!row.has("after_chunks")) {
      refusal(code, status, () -> service.models.generateContent(model, "hi", null));
    }
  }

  @Test
  void allViolationsAreReportedTogether() {
    ImageConfig image = ImageConfig.builder().aspectRatio("7:3").build();
    GenerateContentConfig config = GenerateContentConfig.builder().temperature(3f).imageConfig(image).build();
    Executable call = () -> service.models.generateContent(IMAGE_MODEL, "hi", config);
    // This SDK passes on the message only, so that has to name every field.
    String message = refusal(400, "INVALID_ARGUMENT", call).message();
    assertContains(message, "generation_config.temperature");
    assertContains(message, "generation_config.image_config.aspect_ratio");
  }

  @Test
  void aBadKeyIsRefused() {
    Client client = clientOf("SERVICE", "bad-key", HttpOptions.builder());
    Executable call = () -> client.models.generateContent(TEXT_MODEL, "hi", null);
    assertContains(refusal(401, "UNAUTHENTICATED", call).message(), "API key not valid");
  }

  @Test
  void theGatewayEndsACallAtTheDeadlineInItsHeader() {
    HttpOptions.Builder options = HttpOptions.builder().headers(Map.of("X-Server-Timeout", "1"));
    Client client = clientOf("RELAY", "a-key", options);
    refusal(504, "DEADLINE_EXCEEDED", () -> client.models.generateContent("hang-java-deadline", "hi", null));
  }

  @Test
  void aClientThatDoesNotWaitAnyLongerEndsTheCallUpstream() throws Exception {
    Client client = clientOf("RELAY", "a-key", HttpOptions.builder().timeout(300));
    Executable call = () -> client.models.generateContent("hang-java-timeout", "hi", null);
    assertInstanceOf(IOException.class, assertThrows(GenAiIOException.class, call).getCause());
    assertCancelled("hang-java-timeout");
  }

  @Test
  void aStreamThatIsClosedEndsTheCallUpstream() throws Exception {
    ResponseStream<GenerateContentResponse> stream = relay.models.generateContentStream("hang-java", "hi", null);
    Iterator<GenerateContentResponse> chunks = stream.iterator();
    assertEquals("first", chunks.next().text());
    stream.close();
    assertCancelled("hang-java");
  }

  @Test
  void upstreamGetsTheNameOfTheSdk() throws Exception {
    relay.models.generateContent("plain", "hi", null);
    assertContains(ask("/requests/plain").body(), "gl-java/");
  }
}
