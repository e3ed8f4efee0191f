// Balances calls between an idle and a busy gateway by their load reports: `balance KEY IDLE BUSY`. Both accept 40 calls
// at once, and pass the model sandbox-hang on to an upstream that never answers it.
//
// Prints as JSON how many of the calls went to the idle gateway once the policy had its reports, and what a report in the
// trailers of a call says.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	orca "github.com/cncf/xds/go/xds/data/orca/v3"
	orcaservice "github.com/cncf/xds/go/xds/service/orca/v3"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/balancer/weightedroundrobin"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	gemini "github.com/mountsea/gemini-grpc/clients/go"
	geminiv1 "github.com/mountsea/gemini-grpc/clients/go/mountsea/gemini/v1"
)

// As docs/load-reports.md shows it, with times for a test.
const serviceConfig = `{
  "loadBalancingConfig": [{
    "weighted_round_robin": {
      "enableOobLoadReport": true,
      "oobReportingPeriod": "1s",
      "blackoutPeriod": "0s",
      "weightUpdatePeriod": "0.1s"
    }
  }]
}`

// How many calls the busy gateway has in flight.
const hanging = 20

// How many calls a share is of.
const batch = 100

var insecurely = grpc.WithTransportCredentials(insecure.NewCredentials())

func main() {
	key, idle, busy := os.Args[1], os.Args[2], os.Args[3]
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-goog-api-key", key)

	connection, err := grpc.NewClient(busy, insecurely)
	check(err)
	for range hanging {
		// Ends with the process.
		go geminiv1.NewGenerativeServiceClient(connection).GenerateContent(ctx, gemini.Prompt("sandbox-hang", "hi"))
	}
	reports, err := orcaservice.NewOpenRcaServiceClient(connection).StreamCoreMetrics(
		ctx, &orcaservice.OrcaLoadReportRequest{ReportInterval: durationpb.New(time.Second)})
	check(err)
	for {
		report, err := reports.Recv()
		check(err)
		if report.ApplicationUtilization >= 0.49 {
			break
		}
	}

	gateways := manual.NewBuilderWithScheme("gateways")
	gateways.InitialState(resolver.State{Addresses: []resolver.Address{{Addr: idle}, {Addr: busy}}})
	balanced, err := grpc.NewClient(
		"gateways:///pods", insecurely, grpc.WithResolvers(gateways), grpc.WithDefaultServiceConfig(serviceConfig))
	check(err)
	client := geminiv1.NewGenerativeServiceClient(balanced)
	// The policy waits for reports that have calls in them, so the first calls go to both.
	for share(ctx, client, idle) < 60 {
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"idle": share(ctx, client, idle),
		"busy": reported(ctx, geminiv1.NewGenerativeServiceClient(connection)),
	})
}

// share returns how many of some calls went to this gateway.
func share(ctx context.Context, client geminiv1.GenerativeServiceClient, gateway string) int {
	count := 0
	for range batch {
		var answered peer.Peer
		_, err := client.GenerateContent(ctx, gemini.Prompt("gemini-2.5-flash", "hi"), grpc.Peer(&answered))
		check(err)
		if answered.Addr.String() == gateway {
			count++
		}
	}
	return count
}

// reported returns the report in the trailers of a call, once the ten seconds that it covers are mostly those of the
// hanging calls.
func reported(ctx context.Context, client geminiv1.GenerativeServiceClient) map[string]any {
	var report orca.OrcaLoadReport
	for report.ApplicationUtilization < 0.4 {
		var trailers metadata.MD
		_, err := client.GenerateContent(ctx, gemini.Prompt("gemini-2.5-flash", "hi"), grpc.Trailer(&trailers))
		check(err)
		check(proto.Unmarshal([]byte(trailers.Get("endpoint-load-metrics-bin")[0]), &report))
	}
	return map[string]any{
		"utilization":     report.ApplicationUtilization,
		"named":           report.NamedMetrics,
		"rps":             report.RpsFractional,
		"eps":             report.Eps,
		"unknown":         len(report.ProtoReflect().GetUnknown()),
		"cpu_and_request": report.CpuUtilization + report.MemUtilization + float64(len(report.RequestCost)),
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
