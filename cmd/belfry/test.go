package main

import (
	"regexp"

	"github.com/spf13/cobra"

	"belfry/cmd/belfry/internal/ruletest"
)

func testCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "test", Short: "Test rules, routes and escalation policies in virtual time"}
	cmd.AddCommand(testRulesCommand())
	return cmd
}

func testRulesCommand() *cobra.Command {
	var run string
	cmd := &cobra.Command{
		Use:   "rules FILE...",
		Short: "Run promtool's unit-test files, with log lines, spans, notifications and pages besides",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			var o ruletest.Options
			if run != "" {
				var err error
				if o.Run, err = regexp.Compile(run); err != nil {
					return err
				}
			}
			ruletest.Main(cmd.OutOrStdout(), func(virtual func(func())) []ruletest.Result {
				o.Virtual = virtual
				return ruletest.Run(cmd.Context(), files, o)
			})
			return nil // Main does not return
		},
	}
	cmd.Flags().StringVar(&run, "run", "", "only tests whose names match this regular expression")
	return cmd
}
