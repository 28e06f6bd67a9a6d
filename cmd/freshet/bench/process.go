package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A process is a server under test.
type process struct {
	cmd  *exec.Cmd
	dir  string // its data directory, removed by close
	url  string
	host string
	// Of the Kinesis API, if it is to be served.
	api     bool
	kinesis string
	log     bytes.Buffer
	took    time.Duration // to start
}

// start runs this program as a server on a data directory, "" for a new one, and waits
// until it is ready. It returns how long that took.
func start(ctx context.Context, dir string, args ...string) (*process, time.Duration, error) {
	p := &process{dir: dir}
	if dir == "" {
		var err error
		if p.dir, err = os.MkdirTemp("", "freshet-bench-"); err != nil {
			return nil, 0, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	p.api = slices.Contains(args, "--kinesis-listen")
	if !p.api {
		args = append(args, "--kinesis-listen", "")
	}
	args = append([]string{"serve", "--auth", "off", "--listen", "127.0.0.1:0", "--data", p.dir}, args...)
	p.cmd = exec.CommandContext(ctx, self, args...)
	p.cmd.Stderr = &p.log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGKILL) }
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, 0, err
	}
	if err := p.ready(ctx, stdout); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("the server did not start: %w\n%s", err, p.log.String()), p.close())
	}
	p.took = time.Since(began)
	return p, p.took, nil
}

// ready reads the address that the server prints and waits until it is ready.
func (p *process) ready(ctx context.Context, stdout io.Reader) error {
	lines := bufio.NewScanner(stdout)
	for p.url == "" || p.api && p.kinesis == "" {
		if !lines.Scan() {
			return errors.New("it printed no address")
		}
		if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			p.url = strings.TrimSuffix(url, "/")
		}
		if url, ok := strings.CutPrefix(lines.Text(), "Kinesis API on "); ok {
			p.kinesis = url
		}
	}
	p.host = strings.TrimPrefix(p.url, "http://")
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/readyz", nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(req); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// kill ends the process at once and keeps its data.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = p.cmd.Wait() // it was killed
	return nil
}

// stop has the process load what is pending and end.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.AfterFunc(5*time.Minute, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("the server ended with %w\n%s", err, p.log.String())
	}
	return nil
}

// again stops the server, drops what the system has kept of its files, and starts it with
// the same data. If it does not start, p is still to be closed.
func (p *process) again(ctx context.Context) (*process, error) {
	if err := p.stop(); err != nil {
		return p, err
	}
	if err := p.forget(); err != nil {
		return p, err
	}
	next, _, err := start(ctx, p.dir)
	if err != nil {
		return p, err
	}
	return next, nil
}

// forget drops the pages of the server's files from the system's cache.
func (p *process) forget() error {
	return filepath.WalkDir(p.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	})
}

// close ends the process and removes its data.
func (p *process) close() error {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	return os.RemoveAll(p.dir)
}

// resident returns the resident memory in bytes.
func (p *process) resident() (int64, error) { return p.status("VmRSS:") }

// status returns an amount of memory that /proc shows, in bytes.
func (p *process) status(name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("/proc has no %s", name)
}

// cpu returns the processor time used so far, in seconds.
func (p *process) cpu() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("/proc stat has too few fields")
	}
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100, err
}

// logBytes returns the size of the stream's files.
func (p *process) logBytes() (int64, error) { return p.size("streams") }

// size returns the size of the files under a name in the data directory, those that are
// removed meanwhile left out.
func (p *process) size(name string) (n int64, err error) {
	err = filepath.WalkDir(filepath.Join(p.dir, name), func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		switch {
		case err == nil:
			n += info.Size()
		case errors.Is(err, fs.ErrNotExist):
			err = nil
		}
		return err
	})
	return n, err
}

// counter returns a value of the server's /metrics, summed over its labels.
func (p *process) counter(ctx context.Context, name string) (float64, error) {
	all, err := p.metrics(ctx)
	if err != nil {
		return 0, err
	}
	v, found := all[name]
	if !found {
		return 0, fmt.Errorf("/metrics has no %s", name)
	}
	return v, nil
}

// metrics returns the values of the server's /metrics, each summed over its labels.
func (p *process) metrics(ctx context.Context) (map[string]float64, error) {
	text, err := getJSON(ctx, http.MethodGet, p.url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return nil, fmt.Errorf("/metrics: %w", err)
		}
		name, _, _ := strings.Cut(fields[0], "{")
		out[name] += v
	}
	return out, nil
}
