package seal

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Everything here runs with the algorithms that NIST approves and no other: the
// package's tests run once more in a process where Go's FIPS module refuses
// the rest. By hand: GODEBUG=fips140=only go test ./ground/seal
func TestAllOfItRunsOnApprovedAlgorithms(t *testing.T) {
	if strings.Contains(os.Getenv("GODEBUG"), "fips140=only") {
		t.Skip("this is that process")
	}
	if *update {
		t.Skip("golden files are written once")
	}
	c := exec.Command(os.Args[0], "-test.short", "-test.run=^(Test|Fuzz)", "-test.skip=ALongStream")
	c.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("with approved algorithms alone: %v\n%s", err, out)
	}
}
