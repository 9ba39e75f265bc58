package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 30 * time.Second // for a daemon to answer on its socket
	stopTimeout  = 30 * time.Second // for a daemon to end after its signal, before it is killed
)

// A daemon is a process of the lab that can be stopped and started again over
// the same directories.
type daemon struct {
	args   []string       // program and arguments
	env    []string       // added to the environment
	log    string         // file of everything it printed
	answer []string       // a command that succeeds once the daemon serves
	end    syscall.Signal // ends it; 0 means SIGTERM

	process *os.Process
	done    chan struct{} // closed when the process has ended
}

// Start starts the daemon and waits until it serves. It does nothing if the
// daemon runs already.
func (d *daemon) Start(t testing.TB) {
	t.Helper()
	if d.process != nil {
		return
	}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(d.args[0], d.args[1:]...)
	cmd.Env = append(os.Environ(), d.env...)
	cmd.Stdout, cmd.Stderr = log, log
	// A test binary that is killed must not leave daemons behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	d.process, d.done = cmd.Process, done

	for deadline := time.Now().Add(startTimeout); ; {
		if exec.Command(d.answer[0], d.answer[1:]...).Run() == nil {
			return
		}
		select {
		case <-done:
			d.process = nil
			d.fatal(t, "ended while starting")
		case <-time.After(50 * time.Millisecond):
			if time.Now().After(deadline) {
				d.fatal(t, "does not answer after "+startTimeout.String())
			}
		}
	}
}

// Stop ends the daemon's process and waits until it is gone; what it stored
// stays. It does nothing if the daemon does not run.
func (d *daemon) Stop(t testing.TB) {
	t.Helper()
	if d.process == nil {
		return
	}
	end := d.end
	if end == 0 {
		end = syscall.SIGTERM
	}
	d.process.Signal(end)
	select {
	case <-d.done:
	case <-time.After(stopTimeout):
		d.process.Kill()
		<-d.done
		t.Errorf("%s had to be killed", d.args[0])
	}
	d.process = nil
}

// PID returns the process ID, 0 if the daemon does not run.
func (d *daemon) PID() int {
	if d.process == nil {
		return 0
	}
	return d.process.Pid
}

func (d *daemon) fatal(t testing.TB, what string) {
	t.Helper()
	log, _ := os.ReadFile(d.log)
	t.Fatalf("%s %s\n%s", d.args[0], what, tail(log))
}

// Containerd is a private containerd with the overlayfs snapshotter.
type Containerd struct {
	daemon
	Address string // path of the socket
	Root    string // persistent state: metadata, content, snapshots
}

// containerdConfig keeps containerd off the host: without "opt" it would make
// /opt/containerd, and the Kubernetes plugin would read /etc/cni. It collects no
// garbage by itself: on a busy machine it would write into its store ten seconds after
// its start, while a test looks whether anybody does.
const containerdConfig = `version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[plugins."io.containerd.gc.v1.scheduler"]
startup_delay = "1h"
`

// Containerd starts a containerd in the lab, which ends with t.
func (l *Lab) Containerd(t testing.TB) *Containerd {
	t.Helper()
	Need(t, "containerd", "ctr", "runc")
	dir := l.fresh(t, "ctr")
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, []byte(containerdConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &Containerd{Address: filepath.Join(dir, "s.sock"), Root: filepath.Join(dir, "root")}
	c.daemon = daemon{
		args: []string{"containerd", "--config", config, "--address", c.Address,
			"--root", c.Root, "--state", filepath.Join(dir, "state")},
		log:    filepath.Join(dir, "log"),
		answer: []string{"ctr", "--address", c.Address, "namespaces", "list"},
	}
	c.Start(t)
	t.Cleanup(func() { c.Stop(t) })
	return c
}

// CLI runs ctr in a namespace and returns what it printed.
func (c *Containerd) CLI(t testing.TB, namespace string, args ...string) string {
	t.Helper()
	return run(t, exec.Command("ctr", append([]string{"--address", c.Address, "--namespace", namespace}, args...)...))
}

// Load imports and unpacks the recipes' images into a namespace. A name
// without a host gets the prefix docker.io/library/; an image without a name
// does not appear at all, because containerd knows images by name only.
func (c *Containerd) Load(t testing.TB, namespace string, recipes ...Recipe) {
	t.Helper()
	for _, r := range recipes {
		c.CLI(t, namespace, "images", "import", "--all-platforms", r.Archive(t))
	}
}

// Docker is a private dockerd with the overlay2 driver and its own containerd.
type Docker struct {
	daemon
	Host       string // as DOCKER_HOST takes it: unix:///…
	Root       string // data root
	Containerd *Containerd
}

// Docker starts a dockerd and the containerd it needs in the lab. Both end
// with t.
func (l *Lab) Docker(t testing.TB) *Docker {
	t.Helper()
	return l.DockerAt(t, filepath.Join(l.fresh(t, "docker"), "root"))
}

// DockerAt is [Lab.Docker] with a chosen data root, which should be in l.Dir
// to be removed with the lab.
func (l *Lab) DockerAt(t testing.TB, root string) *Docker {
	t.Helper()
	Need(t, "dockerd", "docker")
	dir := l.fresh(t, "d")
	config := filepath.Join(dir, "daemon.json") // or /etc/docker/daemon.json would be read
	if err := os.WriteFile(config, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := &Docker{Host: "unix://" + filepath.Join(dir, "s.sock"), Root: root, Containerd: l.Containerd(t)}
	d.daemon = daemon{
		args: []string{"dockerd", "--config-file", config, "--host", d.Host, "--data-root", root,
			"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
			"--containerd", d.Containerd.Address, "--storage-driver", "overlay2",
			"--iptables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"},
		env:    []string{"DOCKER_CONFIG=" + dir},
		log:    filepath.Join(dir, "log"),
		answer: []string{"docker", "--config", dir, "--host", d.Host, "version"},
	}
	d.Start(t)
	t.Cleanup(func() { d.Stop(t) })
	return d
}

// CLI runs docker and returns what it printed.
func (d *Docker) CLI(t testing.TB, args ...string) string {
	t.Helper()
	return run(t, d.command(args...))
}

func (d *Docker) command(args ...string) *exec.Cmd {
	config := filepath.Dir(d.log) // or ~/.docker would be used
	return exec.Command("docker", append([]string{"--config", config, "--host", d.Host}, args...)...)
}

// Load loads the recipes' images and returns their image IDs.
func (d *Docker) Load(t testing.TB, recipes ...Recipe) []string {
	t.Helper()
	var ids []string
	for _, r := range recipes {
		d.CLI(t, "load", "--quiet", "--input", r.Archive(t))
		ids = append(ids, r.ID(t))
	}
	return ids
}

// RootFS returns a new directory with the file system of a container made from
// the image but never started: Docker's own idea of the merged layers.
func (d *Docker) RootFS(t testing.TB, image string) string {
	t.Helper()
	dir := t.TempDir()
	// An image without a command needs a dummy one to become a container.
	id := d.CLI(t, "create", "--network=none", image, "none")
	defer d.CLI(t, "rm", id)
	tar := filepath.Join(dir, "root.tar")
	d.CLI(t, "export", "--output", tar, id)
	root := mkdir(t, dir, "root")
	run(t, exec.Command("tar", "--extract", "--numeric-owner", "--file", tar, "--directory", root))
	os.Remove(tar)
	return root
}

// Podman is a private containers-storage and the command that works on it;
// there is no daemon.
type Podman struct {
	Root    string // persistent storage
	RunRoot string // state that is gone after a reboot
	Config  string // the storage.conf that names both
}

// Podman makes an empty containers-storage with the overlay driver in the lab.
func (l *Lab) Podman(t testing.TB) *Podman {
	t.Helper()
	Need(t, "podman")
	dir := l.fresh(t, "podman")
	p := &Podman{
		Root:    filepath.Join(dir, "root"),
		RunRoot: filepath.Join(dir, "run"),
		Config:  filepath.Join(dir, "storage.conf"),
	}
	storage := fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n", p.Root, p.RunRoot)
	engine := fmt.Sprintf("[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\ntmp_dir = %q\n",
		filepath.Join(dir, "tmp"))
	for name, text := range map[string]string{p.Config: storage, p.engineConfig(): engine} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *Podman) engineConfig() string {
	return filepath.Join(filepath.Dir(p.Config), "containers.conf")
}

// CLI runs podman and returns what it printed.
func (p *Podman) CLI(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command("podman", args...)
	cmd.Env = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+p.Config, "CONTAINERS_CONF="+p.engineConfig())
	return run(t, cmd)
}

// Load loads the recipes' images. A name without a host gets the prefix
// localhost/.
func (p *Podman) Load(t testing.TB, recipes ...Recipe) {
	t.Helper()
	for _, r := range recipes {
		p.CLI(t, "load", "--quiet", "--input", r.Archive(t))
	}
}

// OCI writes the recipe's image as an OCI layout directory, layers compressed
// with gzip, and returns its path.
func (l *Lab) OCI(t testing.TB, r Recipe) string {
	t.Helper()
	Need(t, "skopeo")
	dir := filepath.Join(l.fresh(t, "oci"), "layout")
	tag := "latest"
	if _, after, ok := strings.Cut(r.Name, ":"); ok {
		tag = after
	}
	run(t, exec.Command("skopeo", "copy", "--quiet", "--insecure-policy",
		"docker-archive:"+r.Archive(t), "oci:"+dir+":"+tag))
	return dir
}

// fresh makes a new directory in the lab whose name starts with prefix.
func (l *Lab) fresh(t testing.TB, prefix string) string {
	t.Helper()
	dir, err := os.MkdirTemp(l.Dir, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
