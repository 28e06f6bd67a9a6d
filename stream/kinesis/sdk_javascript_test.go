package kinesis_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestJavaScript drives the API with Amazon's SDK for JavaScript, which speaks unencrypted
// HTTP/2 to an http endpoint. It is skipped where `npm ci` was not run in testdata/js, unless
// FRESHET_REQUIRE_JS=1.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	missing := t.Skipf
	if os.Getenv("FRESHET_REQUIRE_JS") == "1" {
		missing = t.Fatalf
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("node is missing: %v", err)
	}
	dir := filepath.Join("testdata", "js")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@aws-sdk", "client-kinesis")); err != nil {
		missing("the SDK is missing, run npm ci in stream/kinesis/testdata/js: %v", err)
	}
	s := startSDK(t)
	cmd := exec.CommandContext(t.Context(), node, "--test", "kinesis.test.js")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "FRESHET_KINESIS_URL="+s.url, "FRESHET_KINESIS_KEY="+sdkKey, "FRESHET_KINESIS_SECRET="+sdkSecret)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if s.over["HTTP/2.0"] == 0 {
		t.Errorf("got requests over %v, want HTTP/2.0", s.over)
	}
}
