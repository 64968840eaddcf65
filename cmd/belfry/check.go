package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"belfry/cmd/belfry/internal/app"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Check files without running anything"}
	cmd.AddCommand(checkConfigCommand(), checkRulesCommand(), checkAlertmanagerCommand(), checkOnCallCommand(), checkRouteCommand())
	return cmd
}

func checkConfigCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "config [FILE]",
		Short: "Check a configuration and the rule files that it names; prints every fault with its line",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := app.DefaultConfigFile
			if len(args) > 0 {
				path = args[0]
			}
			exposed, err := app.CheckConfig(path)
			if err != nil {
				return fmt.Errorf("%s has faults:\n%w", path, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid\n", path)
			for _, address := range exposed {
				fmt.Fprintf(cmd.OutOrStdout(), "needs --insecure: %s can be reached from other machines without TLS or authentication\n", address)
			}
			return nil
		},
	}
}

func checkRulesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rules FILE...",
		Short: "Check rule files of all three signals",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := app.CheckRules(args); err != nil {
				return fmt.Errorf("rule files have faults:\n%w", err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d rule file(s) valid\n", len(args))
			return err
		},
	}
}

func checkAlertmanagerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "alertmanager FILE...",
		Short: "Check configurations of Alertmanager: routes, receivers, templates",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var errs []error
			for _, path := range args {
				if err := app.CheckAlertmanager(path); err != nil {
					errs = append(errs, fmt.Errorf("%s has faults:\n%w", path, err))
				}
			}
			if err := errors.Join(errs...); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d configuration(s) valid\n", len(args))
			return err
		},
	}
}

func checkOnCallCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "oncall [FILE]",
		Short: "Check people, schedules, escalation policies and ways to reach people in a configuration",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := app.DefaultConfigFile
			if len(args) > 0 {
				path = args[0]
			}
			cfg, err := app.CheckOnCall(path)
			if err != nil {
				return fmt.Errorf("%s has faults:\n%w", path, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is valid: %d people, %d schedules, %d policies\n",
				path, len(cfg.OnCall.People), len(cfg.OnCall.Schedules), len(cfg.Escalation.Policies))
			return err
		},
	}
}

func checkRouteCommand() *cobra.Command {
	var file, server, at string
	var asJSON bool
	var labels map[string]string
	cmd := &cobra.Command{
		Use:   "route --labels name=value,...",
		Short: "Say who would be told of an alert with these labels, and why; nobody is told",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set := model.LabelSet{}
			for name, value := range labels {
				set[model.LabelName(name)] = model.LabelValue(value)
			}
			when := time.Now()
			if at != "" {
				var err error
				if when, err = time.Parse(time.RFC3339, at); err != nil {
					return fmt.Errorf("--at: %w", err)
				}
			}
			dry, err := app.ExplainRoute(cmd.Context(), file, server, set, when)
			if err != nil {
				return err
			}
			if !asJSON {
				return dry.WriteText(cmd.OutOrStdout())
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(dry)
		},
	}
	cmd.Flags().StringVar(&file, "config", app.DefaultConfigFile, "configuration file")
	cmd.Flags().StringVar(&server, "server", "", "a running server to ask for silences and inhibitions, as in http://127.0.0.1:4321")
	cmd.Flags().StringVar(&at, "at", "", "time to look at, RFC 3339 (default: now)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringToStringVar(&labels, "labels", nil, "labels of the alert")
	return cmd
}
