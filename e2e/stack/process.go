package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Process is one process of the stack. It is restarted only on demand; whoever started it ends it.
type Process struct {
	// Name is unique in the stack; its output goes to logs/Name.log.
	Name string
	// Path and Args are what runs.
	Path string
	Args []string
	// Env is added to our own environment.
	Env []string
	// Log is the file that standard output and error are appended to.
	Log string
	// CPUs are the processors that it may use, and its number of them for Go; empty leaves it all. Linux alone can do
	// that.
	CPUs []int

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts the process. It is an error when it runs already.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("%s runs already, pid %d", p.Name, p.cmd.Process.Pid)
	}
	if err := os.MkdirAll(filepath.Dir(p.Log), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor

	//nolint:noctx // the process ends by Kill or Stop, not with whoever started it
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ownGroup()
	if len(p.CPUs) > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("GOMAXPROCS=%d", len(p.CPUs)))
	}
	if err := startOn(p.CPUs, cmd.Start); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("start %s: there is no %s: `make build` makes it, and --bin says where it is", p.Name,
				p.Path)
		}
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done, p.err = cmd, done, nil
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		if p.cmd == cmd {
			p.err = err
		}
		p.mu.Unlock()
		close(done)
	}()
	return nil
}

func (p *Process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Running says whether the process lives.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running()
}

// Exited is closed when the process that was started last has ended.
func (p *Process) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// Pid is the process id, 0 when it never ran.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Used is the processor time, user and system, of the process that was started last; 0 while it lives.
func (p *Process) Used() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.running() || p.cmd.ProcessState == nil {
		return 0
	}
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// Signal sends a signal to the process, if it lives.
func (p *Process) Signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return fmt.Errorf("%s does not run", p.Name)
	}
	return p.cmd.Process.Signal(s)
}

// Kill ends the process at once (SIGKILL) and waits until it is gone.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	if done := p.Exited(); done != nil {
		<-done
	}
}

// Stop asks the process to stop (SIGTERM), waits at most grace, then kills it. It returns how the process ended.
func (p *Process) Stop(grace time.Duration) error {
	if !p.Running() {
		return nil
	}
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-p.Exited():
	case <-time.After(grace):
		p.Kill()
		return fmt.Errorf("%s did not stop within %v and was killed", p.Name, grace)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return fmt.Errorf("%s: %w, see %s", p.Name, p.err, p.Log)
	}
	return nil
}

// Await polls ready until it returns nil, the process ends, or ctx does.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	return Poll(ctx, 20*time.Millisecond, p.Name+" is ready", func() error { return ready(ctx) }, p)
}

// Restart kills the service if it runs, starts it, and waits until it is ready.
func (s *Service) Restart(ctx context.Context) error {
	s.Kill()
	return Up(ctx, s)
}
