import ai.mountsea.gemini.Failure
import ai.mountsea.gemini.connect
import ai.mountsea.gemini.explain
import ai.mountsea.gemini.v1.Blob
import ai.mountsea.gemini.v1.Content
import ai.mountsea.gemini.v1.FunctionDeclaration
import ai.mountsea.gemini.v1.GenerateContentRequest
import ai.mountsea.gemini.v1.GenerateContentResponse
import ai.mountsea.gemini.v1.GenerativeServiceGrpcKt.GenerativeServiceCoroutineStub
import ai.mountsea.gemini.v1.Part
import ai.mountsea.gemini.v1.Schema
import ai.mountsea.gemini.v1.Type
import com.google.protobuf.Struct
import com.google.protobuf.Value
import io.grpc.StatusException
import java.io.File
import java.util.concurrent.TimeUnit.MILLISECONDS
import java.util.concurrent.TimeUnit.SECONDS
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

const val MODEL = "gemini-2.5-flash"
const val IMAGE_MODEL = "gemini-3-pro-image-preview"
const val QUESTION = "Why is the sky blue?"

/**
 * Every part of the API once: mvn -q compile exec:java -Dexec.args="ENDPOINT KEY [CA_FILE]".
 *
 * It saves pictures in the current directory. clients/build java makes the artifacts.
 */
fun main(arguments: Array<String>) {
    val channel = connect(arguments[0], arguments[1], arguments.getOrNull(2)?.let(::File))
    val gemini = GenerativeServiceCoroutineStub(channel)
    try {
        runBlocking {
            text(gemini)
            stream(gemini)
            edited(gemini, picture(gemini))
            tool(gemini)
            deadline(gemini)
            cancel(gemini)
            refused(gemini)
            busy(gemini)
            blocked(gemini)
            usage(gemini)
        }
    } finally {
        channel.shutdownNow().awaitTermination(5, SECONDS)
    }
}

fun part(text: String): Part = Part.newBuilder().setText(text).build()

fun content(vararg parts: Part): Content =
    Content.newBuilder().setRole("user").addAllParts(parts.asList()).build()

fun ask(vararg parts: Part, model: String = MODEL): GenerateContentRequest.Builder =
    GenerateContentRequest.newBuilder().setModel(model).addContents(content(*parts))

/** The parts of an answer without its thoughts. A blocked prompt has none. */
val GenerateContentResponse.parts: List<Part>
    get() = candidatesList.flatMap { it.content.partsList }.filterNot { it.thought }

val GenerateContentResponse.text: String
    get() = parts.joinToString("") { it.text }

suspend fun text(gemini: GenerativeServiceCoroutineStub) {
    println("text: ${gemini.generateContent(ask(part(QUESTION)).build()).text}")
}

suspend fun stream(gemini: GenerativeServiceCoroutineStub) {
    print("stream: ")
    gemini.streamGenerateContent(ask(part(QUESTION)).build()).collect {
        print(it.text)
        System.out.flush()
    }
    println()
}

fun save(name: String, file: String, answer: GenerateContentResponse): Blob {
    // Without a picture, the answer has a block reason or a finish reason.
    val part = answer.parts.find { it.hasInlineData() } ?: error("no picture: $answer")
    val picture = part.inlineData
    File(file).writeBytes(picture.data.toByteArray())
    println("$name: $file, ${picture.mimeType}, ${picture.data.size()} bytes")
    return picture
}

suspend fun picture(gemini: GenerativeServiceCoroutineStub): Blob {
    val request = ask(part("a lighthouse at dawn"), model = IMAGE_MODEL)
    request.generationConfigBuilder.imageConfigBuilder.imageSize = "4K"
    return save("picture", "lighthouse.png", gemini.generateContent(request.build()))
}

suspend fun edited(gemini: GenerativeServiceCoroutineStub, lighthouse: Blob) {
    val picture = Part.newBuilder().setInlineData(lighthouse).build()
    val request = ask(part("at night"), picture, model = IMAGE_MODEL)
    save("edited", "lighthouse-night.png", gemini.generateContent(request.build()))
}

suspend fun tool(gemini: GenerativeServiceCoroutineStub) {
    val city = Schema.newBuilder().setType(Type.STRING).build()
    val weather = FunctionDeclaration.newBuilder().setName("get_weather")
    weather.description = "The weather in a city"
    weather.parametersBuilder.setType(Type.OBJECT).putProperties("city", city).addRequired("city")
    val request = ask(part("What is the weather in Oslo?"))
    request.addToolsBuilder().addFunctionDeclarations(weather)
    val answer = gemini.generateContent(request.build())
    val call = answer.parts.first { it.hasFunctionCall() }.functionCall
    println("tool: ${call.name}")

    val seven = Value.newBuilder().setNumberValue(7.0).build()
    val result = Struct.newBuilder().putFields("celsius", seven)
    val response = Part.newBuilder()
    response.functionResponseBuilder.setId(call.id).setName(call.name).setResponse(result)
    // The model's turn as it came: it may have signatures, which the model expects back.
    request.addContents(answer.getCandidates(0).content).addContents(content(response.build()))
    println("tool answer: ${gemini.generateContent(request.build()).text}")
}

suspend fun deadline(gemini: GenerativeServiceCoroutineStub) {
    val hurried = gemini.withDeadlineAfter(500, MILLISECONDS)
    val request = ask(part(QUESTION), model = "sandbox-hang").build()
    println("deadline: ${failure { hurried.generateContent(request) }.code}")
}

suspend fun cancel(gemini: GenerativeServiceCoroutineStub) = coroutineScope {
    val request = ask(part(QUESTION), model = "sandbox-hang-stream").build()
    val received = CompletableDeferred<Unit>()
    val call = launch { gemini.streamGenerateContent(request).collect { received.complete(Unit) } }
    received.await()
    call.cancelAndJoin()
    println("cancel: ${if (call.isCancelled) "CANCELLED" else "OK"}")
}

suspend fun failure(call: suspend () -> Any): Failure =
    try {
        error("expected an error, got ${call()}")
    } catch (e: StatusException) {
        e.explain()
    }

suspend fun refused(gemini: GenerativeServiceCoroutineStub) {
    val request = ask(part(QUESTION))
    request.generationConfigBuilder.setTemperature(3f).setTopP(2f)
    val failure = failure { gemini.generateContent(request.build()) }
    println("refused: ${failure.code}, ${failure.reason}")
    for (violation in failure.violations) {
        println("  ${violation.field}: ${violation.description}")
    }
    println("  request id: ${failure.requestId}")
}

suspend fun busy(gemini: GenerativeServiceCoroutineStub) {
    val request = ask(part(QUESTION), model = "sandbox-429").build()
    val failure = failure { gemini.generateContent(request) }
    val seconds = "${failure.retryDelay.orElseThrow().toMillis() / 1000.0}".removeSuffix(".0")
    println("busy: ${failure.code}, ${failure.reason}, retry in $seconds s")
}

suspend fun blocked(gemini: GenerativeServiceCoroutineStub) {
    val answer = gemini.generateContent(ask(part(QUESTION), model = "sandbox-blocked").build())
    println("blocked: ${answer.promptFeedback.blockReason}")
}

suspend fun usage(gemini: GenerativeServiceCoroutineStub) {
    val used = gemini.generateContent(ask(part(QUESTION)).build()).usageMetadata
    println("usage: ${used.promptTokenCount} tokens in, ${used.candidatesTokenCount} tokens out")
}
