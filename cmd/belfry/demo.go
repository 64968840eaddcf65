package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"belfry/cmd/belfry/internal/demo"
)

func demoCommand() *cobra.Command {
	opts := demo.Options{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show everything at work on a small shop under load",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			opts.Program, opts.Out = program, cmd.OutOrStdout()
			if opts.Dir == "" {
				opts.Dir = "belfry-demo-" + time.Now().Format("20060102-150405")
			}
			return demo.Run(cmd.Context(), opts)
		},
	}
	cmd.Flags().StringVar(&opts.Dir, "dir", "", "fresh folder for configuration and data (default: belfry-demo-TIME)")
	cmd.Flags().StringVar(&opts.Listen, "listen", "127.0.0.1:4321", "address of the HTTP API and web app")
	cmd.Flags().StringVar(&opts.GRPC, "otlp-grpc", "127.0.0.1:4317", "address for OTLP over gRPC")
	cmd.Flags().StringVar(&opts.HTTP, "otlp-http", "127.0.0.1:4318", "address for OTLP over HTTP")
	cmd.Flags().IntVar(&opts.Shoppers, "shoppers", 20, "shoppers at the same time, each about one request a second")
	return cmd
}
