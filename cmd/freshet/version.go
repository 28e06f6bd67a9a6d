package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the release this source tree is, or is about to become.
const version = "0.1.0"

// versionCmd is `freshet version`.
type versionCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// A build says what the binary was made from.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // git commit, if built in a clone
	Modified bool   `json:"modified,omitempty"` // the clone had uncommitted changes
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

// Run prints the version.
func (c *versionCmd) Run(in *invocation) error {
	b := thisBuild()
	if c.JSON {
		return json.NewEncoder(in.stdout).Encode(b)
	}
	revision := ""
	if b.Revision != "" {
		revision = " " + b.Revision[:min(12, len(b.Revision))]
		if b.Modified {
			revision += "+"
		}
	}
	_, err := fmt.Fprintf(in.stdout, "freshet %s%s %s %s/%s\n", b.Version, revision, b.Go, b.OS, b.Arch)
	return err
}
