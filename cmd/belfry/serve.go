package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"belfry/cmd/belfry/internal/app"
)

func serveCommand() *cobra.Command {
	opts := app.Options{}
	var cpuProfile string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server (what plain `belfry` does)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Version, opts.Revision, opts.LogOutput = version, revision(), os.Stderr
			a, err := app.New(opts)
			if err != nil {
				return err
			}
			reload := make(chan os.Signal, 1)
			signal.Notify(reload, syscall.SIGHUP)
			defer signal.Stop(reload)
			return withCPUProfile(cpuProfile, func() error { return a.Run(cmd.Context(), reload) })
		},
	}
	cmd.Flags().StringVar(&opts.ConfigFile, "config", "", "configuration file (default: belfry.yaml in the working directory, if there is one)")
	cmd.Flags().StringVar(&opts.DataDir, "data", "", "data folder (default: ./belfry-data)")
	cmd.Flags().StringVar(&opts.Listen, "listen", "", "address of the HTTP API and web app (default: 127.0.0.1:4321)")
	cmd.Flags().BoolVar(&opts.Insecure, "insecure", false, "allow listening beyond loopback without TLS or authentication")
	cmd.Flags().StringVar(&cpuProfile, "cpu-profile", "", "write what takes CPU time, until the server stops, to this file (for go tool pprof)")
	return cmd
}
