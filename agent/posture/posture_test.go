package posture

import (
	"context"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"quietroom/rooms/devices/wire"
)

// disks is a computer: what is mounted where, and what lies under each device.
func disks(mounts string, files map[string]string) fstest.MapFS {
	all := fstest.MapFS{"proc/self/mountinfo": {Data: []byte(mounts)}}
	for name, text := range files {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

func TestAnEncryptedDiskIsToldFromOneThatIsNot(t *testing.T) {
	const root = "21 1 254:1 / / rw,relatime - ext4 /dev/mapper/vg-root rw\n"
	luks := map[string]string{
		"sys/dev/block/254:1/dm/uuid": "LVM-abc\n", "sys/dev/block/254:1/slaves/dm-0/x": "", "sys/class/block/dm-0/dev": "254:0\n",
		"sys/dev/block/254:0/dm/uuid": "CRYPT-LUKS2-0f0f-luks\n", "sys/dev/block/8:1/partition": "1"}
	for title, c := range map[string]struct {
		mounts string
		want   wire.Result
	}{
		"LVM on LUKS":                   {root, wire.Pass},
		"a bare partition":              {"21 1 8:1 / / rw - ext4 /dev/sda1 rw\n", wire.Fail},
		"people’s files on a bare disk": {root + "30 21 8:1 / /home rw - ext4 /dev/sda1 rw\n", wire.Fail},
		"a container’s overlay":         {"21 1 0:50 / / rw - overlay overlay rw\n", wire.Unknown},
		"no system disk":                {"30 21 8:1 / /home rw - ext4 /dev/sda1 rw\n", wire.Unknown},
		"torn":                          {"21 1\n", wire.Unknown},
	} {
		if got := linuxDisk(disks(c.mounts, luks)); got.Result != c.want {
			t.Errorf("%s: %q (%s), want %q", title, got.Result, got.Said, c.want)
		}
	}
}

// On this very machine: each check ends, and says something. Which result is the
// machine's own business.
func TestEveryCheckAnswersOnThisMachine(t *testing.T) {
	checks := Checks(runtime.GOOS)
	if runtime.GOOS == "linux" && len(checks) == 0 {
		t.Fatal("nothing is looked at on Linux")
	}
	for _, c := range checks {
		if c.Slow && testing.Short() {
			continue
		}
		if _, known := wire.AboutCheck(c.Name); !known {
			t.Errorf("%s has no words for people", c.Name)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		f := c.Look(ctx)
		cancel()
		if f.Said == "" {
			t.Errorf("%s says nothing: %q", c.Name, f.Result)
		}
		t.Logf("%s: %s, %s", c.Name, f.Result, f.Said)
	}
}
