"""What people have said about the system, which no program can see: three places, all in version control.

`attestations.toml`, beside the target file
    What only a person can do, and has done: rotate a password, go through the costs. One `[[attestation]]`
    each, with what was done, by whom and when. The expectation holds for its period (`limits.attested_month`,
    `attested_quarter`, `attested_year`) and then says that it is due again. Nothing is ever taken out: the
    last one counts, and the earlier ones are the record.

`waivers.toml`, beside the target file
    What is known to be broken and may be for a while. One `[[waiver]]` each, with the reason, who has allowed
    it and the last day on which it holds. A waiver covers what is broken and never what can't be told, and it
    may be bound to a figure: at most 83 % of the disk, and at 90 % it is broken again.

`[not_applicable]`, in the target file itself
    What doesn't apply to this system at all, and why. It has no end.

    python -m records attest admin-rotation --by Mira --note "new passwords, in the vault"
    python -m records waive "disk-space[root]" --by Mira --reason "new disk soon" --until 2026-12-01 --at-most "85 %"
    python -m records list

The commands check everything first and then add to the end of the file. An editor does as well: a run reads the
files before its first test, and says of each mistake where it stands and what would be right.
"""
