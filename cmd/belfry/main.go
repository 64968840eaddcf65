// Command belfry is the whole observability stack in one process: `belfry
// serve` (or plain `belfry`) takes OTLP, keeps metrics, logs and traces,
// evaluates rules, pages people and shows it all. The other commands check,
// query, demonstrate and measure it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "belfry:", err)
		os.Exit(1) //nolint:gocritic // the process ends; stop would only restore signals
	}
}

func rootCommand() *cobra.Command {
	serve := serveCommand()
	root := &cobra.Command{
		Use:           "belfry",
		Short:         "Metrics, logs, traces, alerts and on-call in one process",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          serve.RunE,
	}
	root.Flags().AddFlagSet(serve.Flags())
	root.AddCommand(serve, demoCommand(), checkCommand(), testCommand(), queryCommand(), benchCommand(), versionCommand())
	return root
}
