package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSecondSignal sends SIGTERM to a server that has a request half received:
// it waits for the rest, until a second SIGTERM ends it at once.
func TestSecondSignal(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	cmd := exec.Command(self, "serve", "--auth", "off", "--listen", "127.0.0.1:0", "--kinesis-listen", "", "--data", data)
	cmd.Args[0] = "freshet"
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	var address string
	for deadline := time.Now().Add(startTimeout); address == ""; time.Sleep(10 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(data, "freshet.addr"))
		address = strings.TrimPrefix(strings.TrimSpace(string(text)), "http://")
		if time.Now().After(deadline) {
			t.Fatal("the server does not listen")
		}
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/points HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
	time.Sleep(200 * time.Millisecond) // for the server to begin with it

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		t.Fatalf("ended with %v before the request was received", err)
	case <-time.After(500 * time.Millisecond):
	}
	second := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = <-ended
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("got %v, want exit code %d", err, exitFailed)
	}
	if took := time.Since(second); took > 2*time.Second {
		t.Errorf("took %v after the second signal", took)
	}
}
