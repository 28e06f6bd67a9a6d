package main

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// loadCmd is `freshet load`.
type loadCmd struct {
	client
	JSON bool `name:"json" help:"Print one JSON object."`
}

// loaded is the server's answer to a demand to load.
type loaded struct {
	Generation uint64  `json:"generation"`
	Points     uint64  `json:"points"`
	Seconds    float64 `json:"seconds"`
}

// Run has the server load what is pending and prints what was loaded. The
// server finishes a load that it began even if the command is interrupted.
func (c *loadCmd) Run(in *invocation) error {
	var l loaded
	if err := c.call(in.ctx, http.MethodPost, "/api/v1/warehouse/load", nil, &l); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(in.stdout).Encode(l)
	}
	if l.Points == 0 {
		_, err := fmt.Fprintf(in.stdout, "nothing pending; generation %d is loaded\n", l.Generation)
		return err
	}
	_, err := fmt.Fprintf(in.stdout, "loaded %d points as generation %d in %.2f s\n", l.Points, l.Generation, l.Seconds)
	return err
}
