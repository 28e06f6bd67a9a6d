package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"freshet/stream/keyring"
	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/web/access"
)

// kinesisFlags are those of the Kinesis API and of what it can set on streams.
type kinesisFlags struct {
	KinesisListen string `help:"Where to answer the Kinesis API; empty for nowhere, port 0 takes a free one." env:"FRESHET_KINESIS_LISTEN" default:"127.0.0.1:4567" placeholder:"ADDR"`
	KinesisKeys   string `help:"A file of access keys for the Kinesis API, ID and SECRET a line. Without it, and with --auth token, the API is off." env:"FRESHET_KINESIS_KEYS" placeholder:"FILE"`
	ShardLimits   string `help:"kinesis: hold each shard to the throughput of the service; none: do not." enum:"kinesis,none" env:"FRESHET_SHARD_LIMITS" default:"none"`
	KeyFile       string `help:"Keys for encrypted streams, one a line in base64 or hex, the current one first; or FRESHET_KEY." env:"FRESHET_KEY_FILE" placeholder:"FILE"`
}

// keysVariable holds keys for encrypted streams. It is no flag: flags show in ps.
const keysVariable = "FRESHET_KEY"

// set reads the files that the flags name.
func (f *kinesisFlags) set(o *serverOptions) error {
	o.KinesisListen, o.ShardLimits = f.KinesisListen, f.ShardLimits == "kinesis"
	if f.KinesisListen != "" {
		if _, _, err := net.SplitHostPort(f.KinesisListen); err != nil {
			return usagef("--kinesis-listen %q is not of the form host:port", f.KinesisListen)
		}
		if o.AuthOff && !isLoopback(f.KinesisListen) {
			return usagef("--auth off is refused with --kinesis-listen %q, which other machines can reach; listen on 127.0.0.1, or leave --auth token", f.KinesisListen)
		}
	}
	var err error
	if f.KinesisKeys != "" {
		if o.KinesisKeys, err = readAccessKeys(f.KinesisKeys); err != nil {
			return err
		}
	}
	secret := os.Getenv(keysVariable)
	switch {
	case secret != "" && f.KeyFile != "":
		return usagef("--key-file and %s are both given", keysVariable)
	case secret != "":
		o.Keys, err = keyring.Parse(secret)
	case f.KeyFile != "":
		var warning string
		if o.Keys, warning, err = keyring.Read(f.KeyFile); warning != "" {
			o.Logger.Warn(warning)
		}
	}
	return err
}

// readAccessKeys reads a file of lines with an id and a secret; # begins a comment.
func readAccessKeys(name string) ([]kinesis.AccessKey, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var keys []kinesis.AccessKey
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		switch len(fields) {
		case 0:
		case 2:
			keys = append(keys, kinesis.AccessKey{ID: fields[0], Secret: fields[1]})
		default:
			return nil, fmt.Errorf("%s:%d: not an access key id and a secret, with a space between", name, n)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: no access key in it", name)
	}
	return keys, nil
}

// openKinesis opens the Kinesis API's store and listener, if it is to be served.
func (s *server) openKinesis(ctx context.Context, o serverOptions) error {
	if o.KinesisListen == "" {
		return nil
	}
	if !o.AuthOff && len(o.KinesisKeys) == 0 {
		o.Logger.Info("the Kinesis API is off: it needs access keys, see --kinesis-keys")
		return nil
	}
	store, err := kv.Open(s.data.file("kinesis.db"))
	if err != nil {
		return err
	}
	s.closers = append(s.closers, store.Close)
	s.kinesis, err = kinesis.New(kinesis.Options{
		Log: s.log, Store: store, Reserved: []string{metricsStream}, ShardLimits: o.ShardLimits,
		Keys: o.KinesisKeys, AuthOff: o.AuthOff, Logger: o.Logger,
	})
	if err != nil {
		return err
	}
	listener, err := s.listen(ctx, "--kinesis-listen", o.KinesisListen)
	if err != nil {
		return err
	}
	handler := s.kinesis.Handler()
	if o.AuthOff { // a page of another site must not reach it under a name of its own
		handler = onlyLoopback(handler)
	}
	s.kinesisHTTP = &httpStage{listener: listener, handler: handler, server: kinesis.Server, logger: o.Logger}
	return nil
}

// onlyLoopback refuses requests that are addressed to anything but this machine.
func onlyLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !access.AddressedHere(r) {
			http.Error(w, `{"__type":"AccessDeniedException","message":"Without access control requests must be addressed to localhost or a loopback address."}`, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// listen opens a listener that close closes.
func (s *server) listen(ctx context.Context, flag, addr string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, addr, err)
	}
	s.closers = append(s.closers, func() error {
		if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return listener, nil
}
