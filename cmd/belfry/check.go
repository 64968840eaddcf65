package main

import (
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
	var file string
	var labels map[string]string
	cmd := &cobra.Command{
		Use:   "route --labels name=value,...",
		Short: "Say who would be told of an alert with these labels, and why",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set := model.LabelSet{}
			for name, value := range labels {
				set[model.LabelName(name)] = model.LabelValue(value)
			}
			text, err := app.ExplainRoute(file, set, time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "config", app.DefaultConfigFile, "configuration file")
	cmd.Flags().StringToStringVar(&labels, "labels", nil, "labels of the alert")
	return cmd
}
