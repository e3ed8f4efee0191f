// A small program for pods: it waits for a signal (as the pause container), resolves a name, or tries to connect.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "resolve" {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		addresses, err := net.DefaultResolver.LookupHost(ctx, os.Args[2])
		end(addresses, err)
	}
	if len(os.Args) == 3 && os.Args[1] == "connect" {
		started := time.Now()
		// Network policies reach a new pod only after it has started, so it tries for ten seconds.
		for {
			connection, err := net.DialTimeout("tcp", os.Args[2], 2*time.Second)
			if err == nil {
				connection.Close()
				end(fmt.Sprintf("connected after %.1f s", time.Since(started).Seconds()), nil)
			}
			if time.Since(started) > 10*time.Second {
				end("", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
}

// end prints the result or the error, and exits.
func end(result any, err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(result)
	os.Exit(0)
}
