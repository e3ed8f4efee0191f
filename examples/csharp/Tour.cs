// What a program does with the gateway, in C#: `dotnet run -- ENDPOINT KEY [CA_FILE]`.
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Mountsea.Gemini;
using Mountsea.Gemini.V1;
using Client = Mountsea.Gemini.V1.GenerativeService.GenerativeServiceClient;
using SchemaType = Mountsea.Gemini.V1.Type;

public static class Tour
{
    private const string TextModel = "gemini-2.5-flash";
    private const string PictureModel = "gemini-3-pro-image-preview";

    public static async Task Main(string[] arguments)
    {
        var caFile = arguments.ElementAtOrDefault(2);
        using var connection = new Connection(arguments[0], arguments[1], caFile);
        var gemini = connection.Generative;
        await TextAsync(gemini);
        await StreamAsync(gemini);
        await PictureAsync(gemini);
        await EditAsync(gemini);
        await ChatWithToolAsync(gemini);
        await DeadlineAsync(gemini);
        await CancelAsync(gemini);
        await RefusedAsync(gemini);
        await BusyAsync(gemini);
        await BlockedAsync(gemini);
        await UsageAsync(gemini);
    }

    private static GenerateContentRequest Ask(string text, string model = TextModel) => new()
    {
        Model = model,
        Contents = { new Content { Role = "user", Parts = { new Part { Text = text } } } },
    };

    // Some models send their thoughts, too.
    private static string TextOf(GenerateContentResponse answer)
    {
        var parts = answer.Candidates[0].Content.Parts;
        return string.Concat(parts.Where(part => !part.Thought).Select(part => part.Text));
    }

    private static async Task TextAsync(Client gemini)
    {
        var answer = await gemini.GenerateContentAsync(Ask("Why is the sky blue?"));
        Console.WriteLine($"text: {TextOf(answer)}");
    }

    private static async Task StreamAsync(Client gemini)
    {
        using var call = gemini.StreamGenerateContent(Ask("Why is the sky blue?"));
        Console.Write("stream: ");
        await foreach (var piece in call.ResponseStream.ReadAllAsync())
        {
            Console.Write(TextOf(piece));
        }
        Console.WriteLine();
    }

    private static async Task PictureAsync(Client gemini)
    {
        var request = Ask("a lighthouse at dawn", PictureModel);
        var image = new ImageConfig { ImageSize = "4K" };
        request.GenerationConfig = new GenerationConfig { ImageConfig = image };
        await SaveAsync("picture", "lighthouse.png", await gemini.GenerateContentAsync(request));
    }

    private static async Task EditAsync(Client gemini)
    {
        var data = ByteString.CopyFrom(await File.ReadAllBytesAsync("lighthouse.png"));
        var request = Ask("at night", PictureModel);
        var original = new Blob { MimeType = "image/png", Data = data };
        request.Contents[0].Parts.Add(new Part { InlineData = original });
        var answer = await gemini.GenerateContentAsync(request);
        await SaveAsync("edited", "lighthouse-night.png", answer);
    }

    private static async Task SaveAsync(string label, string file, GenerateContentResponse answer)
    {
        // Some models send drafts first, as thoughts.
        var parts = answer.Candidates[0].Content.Parts;
        var picture = parts.First(part => part.InlineData != null && !part.Thought).InlineData;
        await File.WriteAllBytesAsync(file, picture.Data.ToByteArray());
        Console.WriteLine($"{label}: {file}, {picture.MimeType}, {picture.Data.Length} bytes");
    }

    private static async Task ChatWithToolAsync(Client gemini)
    {
        var getWeather = new FunctionDeclaration
        {
            Name = "get_weather",
            Description = "The weather in a city now.",
            Parameters = new Schema
            {
                Type = SchemaType.Object,
                Properties = { ["city"] = new Schema { Type = SchemaType.String } },
                Required = { "city" },
            },
        };
        var chat = Ask("What is the weather in Oslo?");
        chat.Tools.Add(new Tool { FunctionDeclarations = { getWeather } });
        var answer = await gemini.GenerateContentAsync(chat);
        var parts = answer.Candidates[0].Content.Parts;
        var call = parts.First(each => each.FunctionCall != null).FunctionCall;
        Console.WriteLine($"tool: {call.Name}");

        // The model's own message goes back as it came: its parts may have signatures.
        chat.Contents.Add(answer.Candidates[0].Content);
        var result = new Struct { Fields = { ["celsius"] = Value.ForNumber(7) } };
        var response = new FunctionResponse { Id = call.Id, Name = call.Name, Response = result };
        var part = new Part { FunctionResponse = response };
        chat.Contents.Add(new Content { Role = "user", Parts = { part } });
        Console.WriteLine($"tool answer: {TextOf(await gemini.GenerateContentAsync(chat))}");
    }

    private static async Task DeadlineAsync(Client gemini)
    {
        var deadline = DateTime.UtcNow.AddMilliseconds(500);
        var failure = await FailureOfAsync(async () =>
            await gemini.GenerateContentAsync(Ask("hello", "sandbox-hang"), deadline: deadline));
        Console.WriteLine($"deadline: {failure.Code}");
    }

    private static async Task CancelAsync(Client gemini)
    {
        using var cancellation = new CancellationTokenSource();
        var request = Ask("hello", "sandbox-hang-stream");
        using var call =
            gemini.StreamGenerateContent(request, cancellationToken: cancellation.Token);
        var failure = await FailureOfAsync(async () =>
        {
            while (await call.ResponseStream.MoveNext())
            {
                cancellation.Cancel();
            }
        });
        Console.WriteLine($"cancel: {failure.Code}");
    }

    private static async Task RefusedAsync(Client gemini)
    {
        var request = Ask("hello");
        request.GenerationConfig = new GenerationConfig { Temperature = 3, TopP = 2 };
        var failure = await FailureOfAsync(async () => await gemini.GenerateContentAsync(request));
        Console.WriteLine($"refused: {failure.Code}, {failure.Reason}");
        foreach (var violation in failure.Violations)
        {
            Console.WriteLine($"  {violation.Field}: {violation.Description}");
        }
        Console.WriteLine($"  request id: {failure.RequestId}");
    }

    private static async Task BusyAsync(Client gemini)
    {
        var failure = await FailureOfAsync(async () =>
            await gemini.GenerateContentAsync(Ask("hello", "sandbox-429")));
        var seconds = failure.RetryDelay!.Value.TotalSeconds.ToString(CultureInfo.InvariantCulture);
        Console.WriteLine($"busy: {failure.Code}, {failure.Reason}, retry in {seconds} s");
    }

    private static async Task BlockedAsync(Client gemini)
    {
        var answer = await gemini.GenerateContentAsync(Ask("hello", "sandbox-blocked"));
        Console.WriteLine($"blocked: {Failure.NameOf(answer.PromptFeedback.BlockReason)}");
    }

    private static async Task UsageAsync(Client gemini)
    {
        var usage = (await gemini.GenerateContentAsync(Ask("Why is the sky blue?"))).UsageMetadata;
        var (input, output) = (usage.PromptTokenCount, usage.CandidatesTokenCount);
        Console.WriteLine($"usage: {input} tokens in, {output} tokens out");
    }

    private static async Task<Failure> FailureOfAsync(Func<Task> call)
    {
        try
        {
            await call();
        }
        catch (RpcException error)
        {
            return Failure.Explain(error);
        }
        throw new InvalidOperationException("the call was expected to fail");
    }
}
