package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/report"
	"plimsoll/server"
	"plimsoll/store"
)

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Look after the tokens with which hosts join", Args: knownCommand, RunE: showHelp}
	var database, publicURL string
	create := &cobra.Command{
		Use:   "create",
		Short: "Make a token with which hosts can join",
		Long: `Create makes a token that lets a number of hosts join within a time. It is printed
once; the console keeps its hash. Works on the console's database, so run it on the
console's host or give --database.`,
		Example: `  plimsoll token create
  plimsoll token create --uses 20 --ttl 24h --label env=prod --label site=lab`,
		Args: noArgs,
	}
	uses, ttl, labels := 1, time.Hour, []string(nil)
	create.Flags().IntVar(&uses, "uses", uses, "how many hosts may join with it")
	create.Flags().DurationVar(&ttl, "ttl", ttl, "how long it is good for")
	create.Flags().StringArrayVar(&labels, "label", nil, "key=value that hosts get which join with it; repeatable")
	create.Flags().StringVar(&publicURL, "public-url", "", "how hosts reach the console, for the command that is printed (default: https://"+defaultListen+")")
	create.RunE = func(cmd *cobra.Command, _ []string) error {
		if uses < 1 || ttl < time.Second { // 0 is the API's word for its default
			return usagef("--uses %d --ttl %s: nobody could join with it", uses, ttl)
		}
		request := api.EnrolmentTokenRequest{Uses: uses, TTL: int64(ttl.Seconds()), Labels: plimsoll.Labels{}}
		for _, l := range labels {
			key, value, ok := strings.Cut(l, "=")
			if !ok || !plimsoll.ValidLabel(key, value) {
				return usagef("--label: %q is no key=value label", l)
			}
			request.Labels[key] = value
		}
		return a.withStore(cmd.Context(), database, func(s *store.Store) error {
			made, err := server.NewEnrolmentToken(cmd.Context(), s, request, operator(), cmp.Or(publicURL, "https://"+defaultListen))
			if err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, made.Secret)
			a.note("On each host: %s", made.Command)
			return nil
		})
	}
	list := &cobra.Command{
		Use: "list", Short: "List tokens", Example: "  plimsoll token list", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), database, func(s *store.Store) error {
				tokens, err := s.EnrolmentTokens(cmd.Context())
				if err != nil {
					return err
				}
				for _, t := range tokens {
					state := fmt.Sprintf("%d of %d uses left", t.Uses, t.Total)
					switch {
					case t.Revoked:
						state = "revoked"
					case !time.Now().Before(t.Expires):
						state = "expired"
					}
					fmt.Fprintf(a.stdout, "%d\t%s\tuntil %s\t%s\n", t.ID, state, t.Expires.Format(time.RFC3339), report.Text(strings.Join(t.Labels.SortedLabels(), " ")))
				}
				return nil
			})
		},
	}
	revoke := &cobra.Command{
		Use: "revoke ID", Short: "End a token", Example: "  plimsoll token revoke 3",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("give one token's ID; plimsoll token list shows them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var id int64
			if _, err := fmt.Sscan(args[0], &id); err != nil {
				return usagef("%q is no token's ID", args[0])
			}
			return a.withStore(cmd.Context(), database, func(s *store.Store) error { return s.RevokeEnrolmentToken(cmd.Context(), id) })
		},
	}
	for _, c := range []*cobra.Command{create, list, revoke} {
		databaseFlag(c, &database)
		cmd.AddCommand(c)
	}
	return cmd
}

// withStore runs f on the fleet's database, which is there: a mistyped directory
// is no empty fleet.
func (a *app) withStore(ctx context.Context, database string, f func(*store.Store) error) error {
	if dsn := a.dsn(database); !sharedDatabase(dsn) {
		if _, err := os.Stat(dsn); err != nil {
			const op = "open the console's database"
			return &plimsoll.Error{Code: plimsoll.CodeOf(namedError(op, err)), Op: op, Err: err, Hint: "Give the console's --data-dir or --database."}
		}
	}
	return a.withNewStore(ctx, database, f)
}

// withNewStore is withStore, and makes a database that is not there.
func (a *app) withNewStore(ctx context.Context, database string, f func(*store.Store) error) error {
	s, err := a.openStore(ctx, database)
	if err != nil {
		return err
	}
	defer s.Close()
	return f(s)
}

// operator names whoever works on the database directly.
func operator() string { return fmt.Sprintf("uid %d on the console's host", os.Getuid()) }

func (a *app) userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Look after the people who can sign in", Args: knownCommand, RunE: showHelp}
	var database, role string
	var labels []string
	name := func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("give one user's name")
		}
		return nil
	}
	add := &cobra.Command{
		Use: "add NAME", Short: "Add a user; the password is read from the terminal or standard input",
		Example: "  plimsoll user add anna --role operator --label env=prod", Args: name,
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := a.password()
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), database, func(s *store.Store) error {
				_, err := server.NewAccount(cmd.Context(), s, operator(), args[0], password, plimsoll.Role(role), labels)
				return err
			})
		},
	}
	add.Flags().StringVar(&role, "role", string(plimsoll.RoleViewer), "viewer, operator or admin")
	add.Flags().StringArrayVar(&labels, "label", nil, "sees only hosts with this label; repeatable")
	passwd := &cobra.Command{
		Use: "passwd NAME", Short: "Set a user's password; it is read from the terminal or standard input",
		Example: "  plimsoll user passwd anna", Args: name,
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := a.password()
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), database, func(s *store.Store) error {
				return server.SetPassword(cmd.Context(), s, operator(), args[0], password)
			})
		},
	}
	list := &cobra.Command{
		Use: "list", Short: "List users", Example: "  plimsoll user list", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), database, func(s *store.Store) error {
				users, err := s.Accounts(cmd.Context())
				for _, u := range users {
					sees := "all hosts"
					if len(u.Labels) > 0 {
						sees = strings.Join(u.Labels, " ")
					}
					state := ""
					if u.Disabled {
						state = "\tdisabled"
					}
					fmt.Fprintf(a.stdout, "%s\t%s\t%s%s\n", report.Text(u.Name), u.Role, report.Text(sees), state)
				}
				return err
			})
		},
	}
	for _, c := range []*cobra.Command{add, passwd, list} {
		databaseFlag(c, &database)
		cmd.AddCommand(c)
	}
	return cmd
}

// password reads a secret: without echo from a terminal, else the first line of
// standard input. It is never an argument, which every user of the host can read.
func (a *app) password() (string, error) {
	if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(a.stderr, "Password: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.stderr)
		return string(b), err
	}
	line, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil && line == "" {
		return "", usagef("no password on standard input")
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func (a *app) backupCommand() *cobra.Command {
	var database string
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write the whole state of a console to a file",
		Long: `Backup copies the state of the fleet while consoles go on working. The same file
can be restored into SQLite or PostgreSQL. With a passphrase in
PLIMSOLL_PASSPHRASE it holds the key of the console's CA too, sealed; without,
hosts have to join again after a restore. Advisories are not in it.`,
		Example: "  PLIMSOLL_PASSPHRASE=… plimsoll backup fleet.backup",
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			passphrase := os.Getenv(passphraseVariable)
			if passphrase == "" {
				a.note("%s is not set: the CA's key is left out of the backup.", passphraseVariable)
			}
			return a.withStore(cmd.Context(), database, func(s *store.Store) error {
				return replaceFile(args[0], 0o600, func(w io.Writer) error { return s.Backup(cmd.Context(), w, passphrase) })
			})
		},
	}
	databaseFlag(cmd, &database)
	return cmd
}

// passphraseVariable holds the passphrase of backups; it is no flag, since every
// user of the host can read the command line.
const passphraseVariable = "PLIMSOLL_PASSPHRASE"

func (a *app) restoreCommand() *cobra.Command {
	var database string
	cmd := &cobra.Command{
		Use:     "restore FILE",
		Short:   "Fill an empty database from a backup",
		Long:    `Restore checks the whole file first and changes nothing when it is damaged or the database holds anything.`,
		Example: "  PLIMSOLL_PASSPHRASE=… plimsoll restore fleet.backup --data-dir /srv/plimsoll",
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := openNamed("restore", args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			return a.withNewStore(cmd.Context(), database, func(s *store.Store) error {
				if err := s.Restore(cmd.Context(), f, os.Getenv(passphraseVariable)); err != nil {
					return err
				}
				// Agents tell what changed since they last told it, perhaps after the
				// backup: only a full list heals that.
				_, err := s.StartSync(cmd.Context(), plimsoll.Everything, "restore", api.SyncRequest{All: true})
				return err
			})
		},
	}
	databaseFlag(cmd, &database)
	return cmd
}
