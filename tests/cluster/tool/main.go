// A program for pods that need no more: it waits (the pause container), resolves names, or tries to connect.
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
		begun := time.Now()
		// Rules for a new pod are made when it runs already, so one refusal says little.
		for {
			connection, err := net.DialTimeout("tcp", os.Args[2], 2*time.Second)
			if err == nil {
				connection.Close()
				end(fmt.Sprintf("connected after %.1f s", time.Since(begun).Seconds()), nil)
			}
			if time.Since(begun) > 10*time.Second {
				end("", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
}

func end(said any, err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(said)
	os.Exit(0)
}
