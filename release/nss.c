/* Linked into the static binaries for Linux. For names that /etc/nsswitch.conf asks modules such as mdns4, resolve or
 * myhostname for, the glibc in a static program loads the module, and with it the system's glibc. If that is another
 * version, the process is killed (SIGFPE). So host names are looked up in /etc/hosts and DNS only, which need no module. */
#include <nss.h>

__attribute__((constructor)) static void look_up_hosts_in_files_and_dns(void) {
    __nss_configure_lookup("hosts", "files dns");
}
