package main

import (
	"errors"
	"fmt"
	"os"
)

// demoCmd is `freshet demo`.
type demoCmd struct {
	serverFlags
	Data   string `help:"Keep the data in this directory; without it a fresh one is made, and removed at the end." placeholder:"DIR"`
	Listen string `help:"Where to answer HTTP, on loopback; port 0 takes a free one." env:"FRESHET_LISTEN" default:"127.0.0.1:8080" placeholder:"ADDR"`
}

// Run serves the demo until the invocation's context ends.
func (c *demoCmd) Run(in *invocation) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := checkListen(c.Listen, "off"); err != nil {
		return err
	}
	data := c.Data
	if data == "" {
		temp, err := os.MkdirTemp("", "freshet-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		data = temp
	}
	s, err := openServer(in.ctx, serverOptions{
		Data: data, Listen: c.Listen, AuthOff: true,
		Shards: c.shards(), LoadEvery: c.LoadEvery, Logger: c.logger(in),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(in.stdout, "listening on %s\n", s.http.url())
	return errors.Join(s.run(in.ctx), s.close())
}
