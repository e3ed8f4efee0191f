// Reads streams with com.google.genai and prints, for each model, one line of JSON: what was read, and how it ended.
//
//     java Read BASE_URL < MODELS

import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.genai.Client;
import com.google.genai.ResponseStream;
import com.google.genai.errors.ApiException;
import com.google.genai.types.GenerateContentResponse;
import com.google.genai.types.HttpOptions;
import com.google.genai.types.HttpRetryOptions;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Scanner;

public final class Read {
  private static List<Object> failure(RuntimeException error) {
    String name = error.getClass().getSimpleName();
    if (error instanceof ApiException refused) {
      return List.of(name, refused.code(), refused.status());
    }
    return List.of(name, String.valueOf(error.getMessage()));
  }

  private static Map<String, Object> read(Client client, String model) {
    List<String> texts = new ArrayList<>();
    List<Object> end = null;
    try (ResponseStream<GenerateContentResponse> stream =
        client.models.generateContentStream(model, "hi", null)) {
      for (GenerateContentResponse chunk : stream) {
        String text = chunk.text();
        texts.add(text == null ? "" : text);
      }
    } catch (RuntimeException error) {
      end = failure(error);
    }
    Map<String, Object> report = new LinkedHashMap<>();
    report.put("model", model);
    report.put("texts", texts);
    report.put("end", end);
    return report;
  }

  public static void main(String[] arguments) throws Exception {
    // By default this SDK makes up to five attempts, with seconds between them.
    HttpRetryOptions once = HttpRetryOptions.builder().attempts(1).build();
    HttpOptions options = HttpOptions.builder().baseUrl(arguments[0]).retryOptions(once).build();
    ObjectMapper json = new ObjectMapper();
    try (Client client = Client.builder().apiKey("a-key").httpOptions(options).build();
        Scanner models = new Scanner(System.in, StandardCharsets.UTF_8)) {
      while (models.hasNext()) {
        System.out.write((json.writeValueAsString(read(client, models.next())) + "\n").getBytes(StandardCharsets.UTF_8));
        System.out.flush();
      }
    }
  }
}
