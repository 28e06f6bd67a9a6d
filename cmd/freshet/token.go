package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// tokenCmd is `freshet token …`.
type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token and print it. It is not shown again."`
	List   tokenListCmd   `cmd:"" help:"List tokens; their secrets are not stored and not shown."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token and every session signed in with it."`
}

// tokenAnswer is a token as /api/v1/tokens speaks of it. Times are epoch ms, 0
// for never.
type tokenAnswer struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Scopes   []string `json:"scopes"`
	Created  int64    `json:"created"`
	Expires  int64    `json:"expires"`
	LastUsed int64    `json:"last_used"`
	Token    string   `json:"token,omitempty"` // only in the answer to create
}

// tokenCreateCmd is `freshet token create`.
type tokenCreateCmd struct {
	client
	Name  string        `help:"What the token is for." required:""`
	Scope []string      `help:"What it allows: ingest, read, admin. Repeat or separate with commas." enum:"ingest,read,admin" required:""`
	For   time.Duration `help:"How long it is good for, like 720h; 0 for no end." default:"0"`
	JSON  bool          `name:"json" help:"Print one JSON object."`
}

// Run makes a token and prints it.
func (c *tokenCreateCmd) Run(in *invocation) error {
	if c.For < 0 {
		return usagef("--for %v: a token cannot end before it begins", c.For)
	}
	ask := map[string]any{"name": c.Name, "scopes": c.Scope}
	if c.For > 0 {
		ask["expires"] = time.Now().Add(c.For).UnixMilli()
	}
	var made tokenAnswer
	if err := c.call(in.ctx, http.MethodPost, "/api/v1/tokens", ask, &made); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(in.stdout).Encode(made)
	}
	_, err := fmt.Fprintln(in.stdout, made.Token)
	return err
}

// tokenListCmd is `freshet token list`.
type tokenListCmd struct {
	client
	JSON bool `name:"json" help:"Print one JSON object a line."`
}

// Run prints the tokens, oldest first.
func (c *tokenListCmd) Run(in *invocation) error {
	var answer struct {
		Tokens []tokenAnswer `json:"tokens"`
	}
	if err := c.call(in.ctx, http.MethodGet, "/api/v1/tokens", nil, &answer); err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(in.stdout)
		for _, t := range answer.Tokens {
			if err := encoder.Encode(t); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(in.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tSCOPES\tCREATED\tLAST USED\tEXPIRES")
	for _, t := range answer.Tokens {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Name, strings.Join(t.Scopes, ","), when(t.Created), when(t.LastUsed), when(t.Expires))
	}
	return table.Flush()
}

// when writes an epoch ms for people, 0 as never.
func when(ms int64) string {
	if ms == 0 {
		return "never"
	}
	return time.UnixMilli(ms).Format("2006-01-02 15:04:05")
}

// tokenRevokeCmd is `freshet token revoke`.
type tokenRevokeCmd struct {
	client
	ID string `arg:"" help:"The token's id, as list shows it."`
}

// Run ends the token.
func (c *tokenRevokeCmd) Run(in *invocation) error {
	if err := c.call(in.ctx, http.MethodDelete, "/api/v1/tokens/"+url.PathEscape(c.ID), nil, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(in.stdout, "revoked %s\n", c.ID)
	return err
}
