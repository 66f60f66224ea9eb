# fish completion for psilogd. Written by packaging/completion/generate.
complete -c psilogd -f
complete -c psilogd -s C -x -a '(__fish_complete_directories)' -d 'cgroups are below DIR'
complete -c psilogd -s f -rF -d 'read FILE, not /etc/psilogd.conf'
complete -c psilogd -s o -x -a "'syslog' 'syslog:' 'udp:' 'kmsg' 'stdout' 'stderr'" -d 'write to OUTPUT: syslog, syslog:PATH, udp:ADDRESS[:PORT], kmsg, stdout or stderr'
complete -c psilogd -s n -d 'check the configuration, print it and exit'
complete -c psilogd -s t -d 'send a test begin and end, and exit'
complete -c psilogd -s s -d 'copy every line to standard error'
complete -c psilogd -s v -d 'log every crossing and every reading as well'
complete -c psilogd -s h -d 'print this help'
complete -c psilogd -s V -d 'print the version'
