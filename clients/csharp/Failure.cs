using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.RegularExpressions;
using Google.Rpc;
using Grpc.Core;

namespace Mountsea.Gemini;

/// <summary>An error of a call, explained. docs/errors.md of the gateway lists the reasons.</summary>
/// <param name="Code">The name of the code as the gRPC specification has it, such as DEADLINE_EXCEEDED.</param>
/// <param name="Reason">Stable, for programs, such as REQUEST_INVALID. Empty if the error is not the gateway's.</param>
/// <param name="Violations">Each field of the request that breaks a rule, and the rule.</param>
/// <param name="RetryDelay">How long to wait before a retry, if one may help.</param>
/// <param name="RequestId">To quote to support. Empty if the error is not the gateway's.</param>
public sealed record Failure(
    string Code,
    string Reason,
    IReadOnlyList<BadRequest.Types.FieldViolation> Violations,
    TimeSpan? RetryDelay,
    string RequestId)
{
    /// <summary>Reads the details of an error.</summary>
    public static Failure Explain(RpcException error)
    {
        var status = error.GetRpcStatus();
        return new Failure(
            NameOf(error.StatusCode),
            status?.GetDetail<ErrorInfo>()?.Reason ?? "",
            status?.GetDetail<BadRequest>()?.FieldViolations.ToList() ?? [],
            status?.GetDetail<RetryInfo>()?.RetryDelay?.ToTimeSpan(),
            status?.GetDetail<RequestInfo>()?.RequestId ?? error.Trailers.GetValue("x-request-id") ?? "");
    }

    /// <summary>The name of an enum value as the contract has it: PROHIBITED_CONTENT for ProhibitedContent.</summary>
    public static string NameOf(Enum value) => Regex.Replace(value.ToString(), "(?<=[a-z])(?=[A-Z])", "_").ToUpperInvariant();
}
