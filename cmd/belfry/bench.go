package main

import (
	"os"

	"github.com/spf13/cobra"

	"belfry/cmd/belfry/internal/bench"
)

func benchCommand() *cobra.Command {
	opts := bench.Options{}
	peer := bench.Peer{}
	cmd := &cobra.Command{
		Use:   "bench [metrics|logs|traces|all|fleet]...",
		Short: "Load a fresh process over OTLP and print what that cost",
		Long: `Load a fresh process over OTLP and print what that cost.

"fleet" is metrics of some hours ago: it prints what a sample takes on disk once
the blocks are rewritten and merged (--series 20000 --scrapes 720 is three hours
of a small fleet).`,
		ValidArgs: []string{"metrics", "logs", "traces", "all", bench.Fleet},
		Args:      cobra.OnlyValidArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			opts.Program, opts.Signals, opts.Out = program, args, cmd.OutOrStdout()
			if len(args) == 0 {
				opts.Signals = []string{"all"}
			}
			if peer.PID != 0 || peer.Program != "" {
				opts.Peer = &peer
			}
			return bench.Run(cmd.Context(), opts)
		},
	}
	cmd.Flags().IntVar(&opts.Records, "records", 500_000, "log records, and spans, to send")
	cmd.Flags().IntVar(&opts.Series, "series", 20_000, "metric series")
	cmd.Flags().IntVar(&opts.Scrapes, "scrapes", 40, "points of each series, 15 s apart")
	cmd.Flags().StringVar(&opts.Protocol, "protocol", bench.OTLP, "how metrics are sent: "+bench.OTLP+", "+bench.RemoteWrite+" or "+bench.RemoteWrite2)
	cmd.Flags().Uint64Var(&opts.Seed, "seed", 1, "of the load: the same seed makes the same load")
	cmd.Flags().StringVar(&peer.Program, "peer-program", "", "program of a peer, started, loaded and asked at the same time as Belfry with the same data")
	cmd.Flags().IntVar(&peer.PID, "peer-pid", 0, "the same for a peer that runs already: its process")
	cmd.Flags().StringVar(&peer.Kind, "peer", "victorialogs", "what the peer is: victoriametrics or prometheus for metrics; victorialogs for logs; tempo, jaeger or victoriatraces for traces")
	cmd.Flags().StringVar(&peer.Base, "peer-url", "http://127.0.0.1:9428", "the peer's query API")
	cmd.Flags().StringVar(&peer.OTLP, "peer-otlp", "http://127.0.0.1:9428/insert/opentelemetry", "what /v1/metrics, /v1/logs or /v1/traces is appended to")
	cmd.Flags().StringVar(&peer.Dir, "peer-dir", "", "the peer's data folder")
	cmd.Flags().StringVar(&opts.Profiles, "cpu-profiles", "", "existing folder for a CPU profile of Belfry under each load")
	return cmd
}
