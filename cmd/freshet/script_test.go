package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is also the program: a script's `exec freshet …` starts it
// again under that name, and `crashing` starts it as one that kills itself.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"freshet": main, "freshet-crashing": crashing})
}

// How long a server may take to answer, and to end.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
	untilTimeout = 15 * time.Second
)

// TestScripts runs testdata/*.txt, each in a directory of its own, against the
// real program. Beside testscript's own commands there are:
//
//	server NAME [FLAG…]       start `freshet serve` on the data directory NAME, wait until it is
//	                          ready, and set FRESHET_URL; its output goes to NAME.out and NAME.err
//	crash NAME                kill -9
//	crashing NAME STEP        like server, but it kills itself with -9 when a load comes to STEP
//	died NAME                 wait until that has happened
//	[!] stop NAME [SIGNAL]    SIGTERM, or another, and wait; it must exit with 0 (with ! it must not)
//	http METHOD PATH [FILE] [HEADER…]
//	                          print the status and the body of an answer; FILE is - for no body
//	until PATTERN COMMAND…    run a program, or http, until its output matches
//	extract VAR PATTERN FILE  set VAR to what the first group of PATTERN matches in FILE
//	exits CODE COMMAND…       run a program that must exit with CODE
func TestScripts(t *testing.T) { testscript.Run(t, params("testdata", nil)) }

// TestCrashInLoad runs testdata/crash/*.txt once for each step of a load, whose
// name is in STEP.
func TestCrashInLoad(t *testing.T) {
	for _, step := range []string{"freeze", "begin", "points", "windows_1m", "windows_1h", "series", "positions", "commit", "committed"} {
		t.Run(step, func(t *testing.T) {
			testscript.Run(t, params("testdata/crash", map[string]string{"STEP": step}))
		})
	}
}

// crashing is `freshet serve --auth off` on the data directory os.Args[2] that
// kills itself when a load comes to the step os.Args[1].
func crashing() {
	s, err := openServer(context.Background(), serverOptions{
		Data: os.Args[2], Listen: "127.0.0.1:0", AuthOff: true, Shards: 3, Window: time.Second, LoadEvery: time.Hour,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Step: func(name string) {
			if name == os.Args[1] {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // the signal is under way
			}
		},
	})
	if err == nil {
		err = s.run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// params says how the scripts in dir run, with more variables set.
func params(dir string, variables map[string]string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server":   cmdServer,
			"crash":    cmdCrash,
			"crashing": cmdCrashing,
			"died":     cmdDied,
			"stop":     cmdStop,
			"http":     cmdHTTP,
			"until":    cmdUntil,
			"extract":  cmdExtract,
			"exits":    cmdExits,
		},
		Setup: func(env *testscript.Env) error {
			servers := map[string]*exec.Cmd{}
			env.Values[serversKey{}] = servers
			env.Defer(func() {
				for _, server := range servers {
					_ = server.Process.Kill()
					_ = server.Wait()
				}
			})
			for name, value := range variables {
				env.Setenv(name, value)
			}
			return nil
		},
	}
}

// serversKey finds a script's running servers, by name.
type serversKey struct{}

func servers(ts *testscript.TestScript) map[string]*exec.Cmd {
	return ts.Value(serversKey{}).(map[string]*exec.Cmd)
}

// program returns the program with args, in the script's directory and
// environment.
func program(ts *testscript.TestScript, args ...string) *exec.Cmd {
	self, err := os.Executable()
	ts.Check(err)
	cmd := exec.Command(self, args...)
	cmd.Args[0] = "freshet" // what the test binary goes by
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "FRESHET_KINESIS_LISTEN=127.0.0.1:0")
	for _, name := range []string{"FRESHET_URL", "FRESHET_TOKEN", "FRESHET_CONFIG"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	return cmd
}

func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: server NAME [FLAG…]")
	}
	start(ts, args[0], program(ts, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", ts.MkAbs(args[0])}, args[1:]...)...))
}

func cmdCrashing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: crashing NAME STEP")
	}
	cmd := program(ts, args[1], ts.MkAbs(args[0]))
	cmd.Args[0] = "freshet-crashing"
	start(ts, args[0], cmd)
}

// start starts cmd, a server on the data directory name, and waits until it is
// ready.
func start(ts *testscript.TestScript, name string, cmd *exec.Cmd) {
	address := filepath.Join(ts.MkAbs(name), "freshet.addr")
	_ = os.Remove(address) // of a server that was killed
	for path, to := range map[string]*io.Writer{name + ".out": &cmd.Stdout, name + ".err": &cmd.Stderr} {
		file, err := os.OpenFile(ts.MkAbs(path), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		ts.Check(err)
		defer file.Close()
		*to = file
	}
	ts.Check(cmd.Start())
	servers(ts)[name] = cmd
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		if url, err := os.ReadFile(address); err == nil {
			ts.Setenv("FRESHET_URL", strings.TrimSpace(string(url)))
			if text, err := call(ts, []string{"GET", "/readyz"}); err == nil && strings.HasPrefix(text, "200") {
				return
			}
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(ts.MkAbs(name + ".err"))
			ts.Fatalf("server %s is not ready after %v; it said:\n%s", name, startTimeout, said)
		}
	}
}

// running returns the server called name and forgets it.
func running(ts *testscript.TestScript, name string) *exec.Cmd {
	cmd := servers(ts)[name]
	if cmd == nil {
		ts.Fatalf("there is no server %s", name)
	}
	delete(servers(ts), name)
	return cmd
}

func cmdCrash(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: crash NAME")
	}
	cmd := running(ts, args[0])
	ts.Check(cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
}

func cmdDied(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: died NAME")
	}
	cmd := running(ts, args[0])
	timer := time.AfterFunc(stopTimeout, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) })
	defer timer.Stop()
	_ = cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		said, _ := os.ReadFile(ts.MkAbs(args[0] + ".err"))
		ts.Fatalf("server %s ended with %v, not by kill -9; it said:\n%s", args[0], cmd.ProcessState, said)
	}
}

func cmdStop(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT}
	if len(args) == 1 {
		args = append(args, "TERM")
	}
	if len(args) != 2 || signals[args[1]] == nil {
		ts.Fatalf("usage: stop NAME [TERM|INT]")
	}
	cmd := running(ts, args[0])
	ts.Check(cmd.Process.Signal(signals[args[1]]))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if (err != nil) != neg {
			said, _ := os.ReadFile(ts.MkAbs(args[0] + ".err"))
			ts.Fatalf("server %s ended with %v; it said:\n%s", args[0], err, said)
		}
	case <-time.After(stopTimeout):
		_ = cmd.Process.Signal(syscall.SIGQUIT) // print the goroutines
		<-ended
		said, _ := os.ReadFile(ts.MkAbs(args[0] + ".err"))
		ts.Fatalf("server %s runs %v after it was told to end; it said:\n%s", args[0], stopTimeout, said)
	}
}

// call makes the request that the arguments of http say.
func call(ts *testscript.TestScript, args []string) (string, error) {
	if len(args) < 2 {
		return "", errors.New("usage: http METHOD PATH [FILE] [HEADER…]")
	}
	var body []byte
	if len(args) > 2 && args[2] != "-" {
		body = []byte(ts.ReadFile(args[2]))
	}
	request, err := http.NewRequest(args[0], ts.Getenv("FRESHET_URL")+args[1], bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	if token := ts.Getenv("FRESHET_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for _, header := range args[min(3, len(args)):] {
		name, value, _ := strings.Cut(header, ":")
		request.Header.Set(name, strings.TrimSpace(value))
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request) // without following redirects
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return fmt.Sprintf("%d\n%s\n", answer.StatusCode, bytes.TrimSpace(text)), err
}

func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	text, err := call(ts, args)
	if (err != nil) != neg {
		ts.Fatalf("http: %v", err)
	}
	fmt.Fprint(ts.Stdout(), text)
}

func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND…")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	for deadline := time.Now().Add(untilTimeout); ; time.Sleep(20 * time.Millisecond) {
		var text string
		var err error
		if args[1] == "http" {
			text, err = call(ts, args[2:])
		} else if args[1] == "freshet" {
			var out []byte
			out, err = program(ts, args[2:]...).CombinedOutput()
			text = string(out)
		} else {
			ts.Fatalf("until runs http or freshet, not %s", args[1])
		}
		if pattern.MatchString(text) {
			fmt.Fprint(ts.Stdout(), text)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no match for %q within %v; last: %v\n%s", args[0], untilTimeout, err, text)
		}
	}
}

func cmdExtract(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: extract VAR PATTERN FILE")
	}
	match := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile(args[2]))
	if len(match) != 2 {
		ts.Fatalf("no match for %q in %s:\n%s", args[1], args[2], ts.ReadFile(args[2]))
	}
	ts.Setenv(args[0], match[1])
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE freshet …")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if args[1] != "freshet" {
		ts.Fatalf("exits runs freshet, not %s", args[1])
	}
	cmd := program(ts, args[2:]...)
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
}
