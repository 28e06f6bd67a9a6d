// Command freshet is the one binary: a durable stream, its live dashboards
// and its SQL warehouse, and the small clients that talk to them.
//
// A file holds a subcommand. serve.go draws how the stages are joined; demo.go
// is the same server with a simulated shop beside it; put.go, sql.go, load.go
// and token.go are HTTP clients and touch no data directory.
//
// After a crash serve starts again on the same data directory with every
// acknowledged point. All goroutines of a server belong to the line of stages
// that line.go starts and stops; the clients start none.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// What the process tells its caller.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		// Nothing acknowledged is lost by leaving at once: it is in the log.
		<-signals
		fmt.Fprintln(os.Stderr, "freshet: second signal, leaving at once")
		os.Exit(exitFailed)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// A commandLine is everything that can be written after the program's name.
type commandLine struct {
	Config string `help:"Read flags from this TOML file; its keys are the flags' names." env:"FRESHET_CONFIG" placeholder:"FILE"`

	Serve   serveCmd   `cmd:"" help:"Run the server."`
	Demo    demoCmd    `cmd:"" help:"Run the server on a fresh data directory, fed with this machine's metrics and a simulated web shop."`
	Put     putCmd     `cmd:"" help:"Post points from arguments or standard input."`
	SQL     sqlCmd     `cmd:"" name:"sql" help:"Run one SQL query and print its rows."`
	Load    loadCmd    `cmd:"" help:"Load what is pending into the warehouse now."`
	Token   tokenCmd   `cmd:"" help:"Create, list and revoke access tokens."`
	Bench   benchCmd   `cmd:"" help:"Measure a server on this machine."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// An invocation is what a subcommand is run with.
type invocation struct {
	ctx    context.Context // ended by the first SIGTERM or interrupt
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// A usageError says that the command line, not the work, is at fault.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// exitNow unwinds run when kong ends the program itself, after --help.
type exitNow int

// run parses args, runs the subcommand they name and returns the exit code.
// It returns early, with work drained, when ctx ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			exit, ok := r.(exitNow)
			if !ok {
				panic(r)
			}
			code = int(exit)
		}
	}()
	var line commandLine
	parser, err := kong.New(&line,
		kong.Name("freshet"),
		kong.Description("Streams, live dashboards and SQL over one durable log. Flags win over FRESHET_… variables, those over the --config file, that over defaults."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exitNow(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Resolvers(&configFile{}),
	)
	if err != nil {
		panic(err) // the struct above is wrong, whatever the arguments
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return report(stderr, usageError{err})
	}
	return report(stderr, parsed.Run(&invocation{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr}))
}

// report prints err, if there is one, and returns the exit code it stands for.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "freshet: %v\n", err)
	if usage := (usageError{}); errors.As(err, &usage) {
		fmt.Fprintln(stderr, `Run "freshet --help", or "freshet COMMAND --help", for what can be written here.`)
		return exitUsage
	}
	return exitFailed
}
