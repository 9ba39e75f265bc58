// From the link that plimsoll up prints to a signed-in administrator.
import { admin, expect, settled, test } from './console'

const link = process.env.PLIMSOLL_SETUP ?? ''

test.use({ storageState: { cookies: [], origins: [] }, refusals: [400, 401] })

test('whoever is not signed in is asked to, and told how a console begins', async ({ page }) => {
  await page.goto('/images')
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await page.goto('/setup')
  await expect(page.getByText('The link is not complete')).toBeVisible()
})

test('the link of the first start makes the administrator, once', async ({ page }) => {
  await page.goto(link)
  await expect(page).toHaveURL(/\/setup$/) // the secret is out of the address bar and the history
  await page.getByLabel('Name').fill('not a name')
  await page.getByLabel('Password', { exact: true }).fill('short')
  await page.getByLabel('Password again').fill('other')
  await page.getByRole('button', { name: 'Create and sign in' }).click()
  await expect(page.getByText('Letters, digits and . _ @ - only')).toBeVisible()
  await expect(page.getByText('At least 12 characters, please')).toBeVisible()
  await expect(page.getByText('The passwords differ')).toBeVisible()

  await page.getByLabel('Name').fill(admin.name)
  await page.getByLabel('Password', { exact: true }).fill(admin.password)
  await page.getByLabel('Password again').fill(admin.password)
  await page.getByRole('button', { name: 'Create and sign in' }).click()
  await expect(page.getByRole('navigation', { name: 'Main menu' })).toBeVisible()
  await expect(page).toHaveURL('/')

  await page.goto(link)
  await page.getByLabel('Name').fill('second')
  await page.getByLabel('Password', { exact: true }).fill(admin.password)
  await page.getByLabel('Password again').fill(admin.password)
  await page.getByRole('button', { name: 'Create and sign in' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
})

test('a wrong password is refused, the right one leads to where one was going', async ({ page }) => {
  await page.goto('/images?risk=high')
  await expect(page).toHaveURL(/\/login\?to=/)
  await page.getByLabel('Name').fill(admin.name)
  await page.getByLabel('Password').fill('wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('alert')).toHaveText(/Name or password are wrong/)
  await page.getByLabel('Password').fill(admin.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page).toHaveURL('/images?risk=high')
  await expect(page.getByRole('heading', { level: 1, name: 'Images' })).toBeVisible()
})

test('a link of another site is not followed after signing in', async ({ page }) => {
  await page.goto('/login?to=' + encodeURIComponent('//evil.invalid/'))
  await page.getByLabel('Name').fill(admin.name)
  await page.getByLabel('Password').fill(admin.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('navigation', { name: 'Main menu' })).toBeVisible()
  await expect(page).toHaveURL('/')
})

test('a session that ended is asked for again, and the page comes back', async ({ page }) => {
  await page.goto('/login')
  await page.getByLabel('Name').fill(admin.name)
  await page.getByLabel('Password').fill(admin.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('navigation', { name: 'Main menu' })).toBeVisible()
  await page.getByRole('link', { name: 'Hosts' }).first().click()
  await settled(page)
  await page.context().clearCookies()
  // The page may notice by itself before it is told to.
  await page.getByRole('button', { name: 'Refresh' }).click({ timeout: 5000 }).catch(() => undefined)
  await expect(page).toHaveURL(/\/login\?to=%2Fhosts/)
  await page.getByLabel('Name').fill(admin.name)
  await page.getByLabel('Password').fill(admin.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page).toHaveURL('/hosts')

  await page.getByRole('button', { name: 'Account' }).click()
  await page.getByText('Sign out').click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await page.goBack()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
})
