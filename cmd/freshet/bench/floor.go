package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// diskRate returns how many bytes a second the file system under dir takes in writes of
// size bytes, each followed by fdatasync, at the end of a growing file.
func diskRate(dir string, size int, d time.Duration) (float64, error) {
	f, err := os.Create(filepath.Join(dir, "bench-disk"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	chunk := make([]byte, max(size, 1))
	began, written := time.Now(), 0
	for time.Since(began) < d {
		if _, err := f.Write(chunk); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		written += len(chunk)
	}
	return float64(written) / time.Since(began).Seconds(), nil
}

// Discard answers HTTP on a free port of the loopback, reading and forgetting every
// body, until ctx ends. It prints the address as a server does.
func Discard(ctx context.Context, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"accepted":500}`)
	})}
	fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
